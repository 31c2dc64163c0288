/* image_codecs.c: JPEG by libjpeg-turbo, PNG by libpng. Linked in place of no_image_codecs.c into
 * programs that were compiled --with-images. */
#include <stdio.h>

#include <jpeglib.h> /* needs stdio.h before it */

#include <jerror.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "program/image_files.h"

/* Row number `at`, interleaved, to the planes. */
static void separate_row(const uint8_t *row, int64_t at, poa_loaded_images *images) {
  int64_t plane = (int64_t)images->height * images->width;
  uint8_t *to = images->pixels + at * images->width;
  for (int64_t i = 0; i < images->width; i++)
    for (int c = 0; c < images->channels; c++)
      to[c * plane + i] = row[i * images->channels + c];
}

/* JPEG. The library reports errors by a call that must not return: it jumps to where the attempt
 * began. All that the jump could leave behind is in the decoder, which is its caller's. */

typedef struct jpeg_decoder {
  struct jpeg_error_mgr manager; /* first, so that a pointer to it is one to the whole */
  struct jpeg_decompress_struct info;
  jmp_buf resume;
  char message[JMSG_LENGTH_MAX];
  uint8_t *row; /* interleaved */
} jpeg_decoder;

static void jpeg_give_up(j_common_ptr info) {
  jpeg_decoder *d = (jpeg_decoder *)info->err;
  info->err->format_message(info, d->message);
  longjmp(d->resume, 1);
}

/* Level -1 is a warning: pixels are lost or made up, unless it is one of these, which cameras and
 * editors cause. */
static void jpeg_judge_warning(j_common_ptr info, int level) {
  int code = info->err->msg_code;
  bool harmless =
      code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR;
  if (level < 0 && !harmless)
    jpeg_give_up(info);
}

static poa_status jpeg_read(jpeg_decoder *d, poa_loaded_images *images, poa_error *error) {
  struct jpeg_decompress_struct *info = &d->info;
  jpeg_read_header(info, TRUE);
  info->out_color_space = info->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_calc_output_dimensions(info);
  poa_loaded_images extents = {.count = 1,
                               .channels = info->output_components,
                               .height = (int)info->output_height,
                               .width = (int)info->output_width};
  poa_status status = poa_images_allocate(images, extents, false, error);
  if (status)
    return status;
  d->row = malloc((size_t)extents.width * (size_t)extents.channels);
  if (!d->row)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the image");
  jpeg_start_decompress(info);
  while (info->output_scanline < info->output_height) {
    int64_t at = info->output_scanline;
    jpeg_read_scanlines(info, &d->row, 1);
    separate_row(d->row, at, images);
  }
  jpeg_finish_decompress(info);
  return POA_OK;
}

static poa_status jpeg_attempt(jpeg_decoder *d, const uint8_t *bytes, size_t size,
                               poa_loaded_images *images, poa_error *error) {
  if (setjmp(d->resume))
    return poa_fail(error, POA_BAD_INPUT, "damaged JPEG: %s", d->message);
  jpeg_create_decompress(&d->info);
  jpeg_mem_src(&d->info, bytes, size);
  return jpeg_read(d, images, error);
}

static poa_status decode_jpeg(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                              poa_error *error) {
  jpeg_decoder d = {.row = NULL};
  d.info.err = jpeg_std_error(&d.manager);
  d.manager.error_exit = jpeg_give_up;
  d.manager.emit_message = jpeg_judge_warning;
  poa_status status = jpeg_attempt(&d, bytes, size, images, error);
  jpeg_destroy_decompress(&d.info);
  free(d.row);
  return status;
}

/* PNG: 8 bits, grey or colour, on white where it is transparent. Not by libpng's simplified
 * interface, which gets interlaced images of 16 bits wrong (1.6.39 as Debian mended it), or writes
 * beyond their rows (CVE-2025-65018). Errors jump as above. */

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
    separate_row(d->row[row], row, images);
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

static poa_status decode_png(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                             poa_error *error) {
  png_decoder d = {.at = bytes, .end = bytes + size};
  poa_status status = png_attempt(&d, images, error);
  png_destroy_read_struct(&d.png, &d.info, NULL);
  free(d.rows);
  free(d.row);
  return status;
}

poa_status poa_codec_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                            poa_error *error) {
  if (size > 2 && bytes[0] == 0xff && bytes[1] == 0xd8)
    return decode_jpeg(bytes, size, images, error);
  if (size >= 8 && png_sig_cmp(bytes, 0, 8) == 0)
    return decode_png(bytes, size, images, error);
  return poa_fail(error, POA_BAD_INPUT,
                  "is no image that this program knows: .npy, IDX, PGM, PPM, JPEG, PNG");
}
