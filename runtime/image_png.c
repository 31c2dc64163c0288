/* image_png.c: PNG by libpng: 8 bits, grey or colour, on white where it is transparent. Not by
 * libpng's simplified interface, which gets interlaced images of 16 bits wrong (1.6.39 as Debian
 * mended it), or writes beyond their rows (CVE-2025-65018). Errors jump, as in image_jpeg.c. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/image_codecs.h"

typedef struct png_decoder {
  png_structp png;
  png_infop info;
  jmp_buf resume;
  char message[200];
  const uint8_t *at, *end; /* what is still to be read */
  uint8_t *rows, **row;    /* interleaved */
} png_decoder;

static void png_give_up(png_structp png, png_const_charp message) {
  png_decoder *d = png_get_error_ptr(png);
  snprintf(d->message, sizeof d->message, "%s", message);
  longjmp(d->resume, 1);
}

static void png_stay_silent(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void png_take(png_structp png, png_bytep to, size_t bytes) {
  png_decoder *d = png_get_io_ptr(png);
  if ((size_t)(d->end - d->at) < bytes)
    png_error(png, "it is cut short");
  memcpy(to, d->at, bytes);
  d->at += bytes;
}

/* To one byte a value and no transparency, whatever the file has. */
static void png_ask_for_bytes(png_decoder *d) {
  const png_color_16 white = {.red = 255, .green = 255, .blue = 255, .gray = 255};
  png_set_expand(d->png);
  png_set_background(d->png, &white, PNG_BACKGROUND_GAMMA_SCREEN, 0, 1);
  png_set_scale_16(d->png);
  png_set_interlace_handling(d->png);
  png_read_update_info(d->png, d->info);
}

static poa_status png_allocate_rows(png_decoder *d, int height, poa_error *error) {
  size_t stride = png_get_rowbytes(d->png, d->info);
  d->rows = malloc(stride * (size_t)height);
  d->row = malloc((size_t)height * sizeof *d->row);
  if (!d->rows || !d->row)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the image");
  for (int i = 0; i < height; i++)
    d->row[i] = d->rows + (size_t)i * stride;
  return POA_OK;
}

static poa_status png_read_all(png_decoder *d, poa_loaded_images *images, poa_error *error) {
  png_read_info(d->png, d->info);
  bool colour = png_get_color_type(d->png, d->info) & PNG_COLOR_MASK_COLOR;
  poa_loaded_images extents = {.count = 1,
                               .channels = colour ? 3 : 1,
                               .height = (int)png_get_image_height(d->png, d->info),
                               .width = (int)png_get_image_width(d->png, d->info)};
  poa_status status = poa_images_allocate(images, extents, false, error);
  if (status)
    return status;
  png_ask_for_bytes(d);
  status = png_allocate_rows(d, extents.height, error);
  if (status)
    return status;
  png_read_image(d->png, d->row);
  png_read_end(d->png, NULL);
  for (int row = 0; row < extents.height; row++)
    poa_images_put_row(images, row, d->row[row]);
  return POA_OK;
}

static poa_status png_attempt(png_decoder *d, poa_loaded_images *images, poa_error *error) {
  if (setjmp(d->resume))
    return poa_fail(error, POA_BAD_INPUT, "damaged PNG: %s", d->message);
  d->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, d, png_give_up, png_stay_silent);
  d->info = d->png ? png_create_info_struct(d->png) : NULL;
  if (!d->info)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the image");
  png_set_read_fn(d->png, d, png_take);
  return png_read_all(d, images, error);
}

poa_status poa_png_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                          poa_error *error) {
  png_decoder d = {.at = bytes, .end = bytes + size};
  poa_status status = png_attempt(&d, images, error);
  png_destroy_read_struct(&d.png, &d.info, NULL);
  free(d.rows);
  free(d.row);
  return status;
}
