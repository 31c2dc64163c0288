/* image_codecs.c: JPEG by libjpeg-turbo, PNG by libpng. Linked in place of no_image_codecs.c into
 * programs that were compiled --with-images. */
#include <stdio.h>

#include <jpeglib.h> /* needs stdio.h before it */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "program/image_files.h"

/* From interleaved rows to planes. */
static void separate(const uint8_t *rows, poa_loaded_images *images) {
  int64_t plane = (int64_t)images->height * images->width;
  for (int64_t i = 0; i < plane; i++)
    for (int c = 0; c < images->channels; c++)
      images->pixels[c * plane + i] = rows[i * images->channels + c];
}

/* JPEG. The library reports errors by a call that must not return. */

typedef struct jpeg_failure {
  struct jpeg_error_mgr manager; /* first, so that a pointer to it is one to the whole */
  jmp_buf resume;
  char message[JMSG_LENGTH_MAX];
} jpeg_failure;

static void jpeg_give_up(j_common_ptr info) {
  jpeg_failure *failure = (jpeg_failure *)info->err;
  info->err->format_message(info, failure->message);
  longjmp(failure->resume, 1);
}

static void jpeg_stay_silent(j_common_ptr info, int level) {
  (void)info;
  (void)level;
}

/* All that a jump could leave behind is in `info`, `images` and *rows. */
static poa_status jpeg_read(struct jpeg_decompress_struct *info, poa_loaded_images *images,
                            uint8_t **rows, poa_error *error) {
  jpeg_read_header(info, TRUE);
  info->out_color_space = info->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(info);
  poa_status status = poa_images_allocate(images, 1, info->output_components,
                                          (int)info->output_height, (int)info->output_width, error);
  size_t stride = (size_t)info->output_width * (size_t)info->output_components;
  if (status == POA_OK && !(*rows = malloc(stride * info->output_height)))
    status = poa_fail(error, POA_NO_MEMORY, "no memory for the image");
  while (status == POA_OK && info->output_scanline < info->output_height) {
    JSAMPROW row = *rows + stride * info->output_scanline;
    jpeg_read_scanlines(info, &row, 1);
  }
  if (status)
    return status;
  jpeg_finish_decompress(info);
  separate(*rows, images);
  return POA_OK;
}

static poa_status decode_jpeg(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                              poa_error *error) {
  struct jpeg_decompress_struct info;
  jpeg_failure failure = {.message = ""};
  uint8_t *volatile rows = NULL;
  volatile poa_status status = POA_OK;
  info.err = jpeg_std_error(&failure.manager);
  failure.manager.error_exit = jpeg_give_up;
  failure.manager.emit_message = jpeg_stay_silent;
  jpeg_create_decompress(&info);
  if (setjmp(failure.resume)) {
    status = poa_fail(error, POA_BAD_INPUT, "damaged JPEG: %s", failure.message);
  } else {
    jpeg_mem_src(&info, bytes, size);
    status = jpeg_read(&info, images, (uint8_t **)&rows, error);
  }
  if (status == POA_OK && failure.manager.num_warnings > 0)
    status = poa_fail(error, POA_BAD_INPUT, "damaged JPEG: data is missing or corrupt");
  jpeg_destroy_decompress(&info);
  free(rows);
  return status;
}

/* PNG, by the simplified interface: 8 bits, grey or colour, on white where it is transparent. */

static poa_status decode_png(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                             poa_error *error) {
  png_image image = {.version = PNG_IMAGE_VERSION};
  png_color white = {255, 255, 255};
  if (!png_image_begin_read_from_memory(&image, bytes, size))
    return poa_fail(error, POA_BAD_INPUT, "damaged PNG: %s", image.message);
  bool colour = image.format & PNG_FORMAT_FLAG_COLOR;
  image.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  poa_status status =
      poa_images_allocate(images, 1, colour ? 3 : 1, (int)image.height, (int)image.width, error);
  uint8_t *rows = status ? NULL : malloc(PNG_IMAGE_SIZE(image));
  if (status == POA_OK && !rows)
    status = poa_fail(error, POA_NO_MEMORY, "no memory for the image");
  if (status == POA_OK && !png_image_finish_read(&image, &white, rows, 0, NULL))
    status = poa_fail(error, POA_BAD_INPUT, "damaged PNG: %s", image.message);
  if (status == POA_OK)
    separate(rows, images);
  png_image_free(&image);
  free(rows);
  return status;
}

poa_status poa_codec_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                            poa_error *error) {
  if (size > 2 && bytes[0] == 0xff && bytes[1] == 0xd8)
    return decode_jpeg(bytes, size, images, error);
  if (size > 8 && png_sig_cmp(bytes, 0, 8) == 0)
    return decode_png(bytes, size, images, error);
  return poa_fail(error, POA_BAD_INPUT,
                  "is no image that this program knows: .npy, IDX, PGM, PPM, JPEG, PNG");
}
