/* image_jpeg.c: JPEG by libjpeg-turbo.
 *
 * The library reports errors by a call that must not return: it jumps to where the attempt began.
 * All that the jump could leave behind is in the decoder, which is its caller's. */
#include <stdio.h>

#include <jpeglib.h> /* needs stdio.h before it */

#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>

#include "runtime/image_codecs.h"
#include "runtime/orientation.h"

typedef struct jpeg_decoder {
  struct jpeg_error_mgr manager; /* first, so that a pointer to it is one to the whole */
  struct jpeg_decompress_struct info;
  jmp_buf resume;
  char message[JMSG_LENGTH_MAX];
  uint8_t *row; /* interleaved */
} jpeg_decoder;

static void give_up(j_common_ptr info) {
  jpeg_decoder *d = (jpeg_decoder *)info->err;
  info->err->format_message(info, d->message);
  longjmp(d->resume, 1);
}

/* Level -1 is a warning: pixels are lost or made up, unless it is one of these, which cameras and
 * editors cause. */
static void judge_warning(j_common_ptr info, int level) {
  int code = info->err->msg_code;
  bool harmless =
      code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR;
  if (level < 0 && !harmless)
    give_up(info);
}

/* The smallest scale, in eighths, at which the shorter side is at least `least`. The image is
 * smoothed by its own cosines, at less cost than it would take to decode all of it. */
static void choose_scale(struct jpeg_decompress_struct *info, int least) {
  enum { WHOLE = 8 };
  info->scale_denom = WHOLE;
  for (info->scale_num = least > 0 ? 1 : WHOLE;; info->scale_num++) {
    jpeg_calc_output_dimensions(info);
    JDIMENSION height = info->output_height, width = info->output_width;
    if (info->scale_num == WHOLE || (height < width ? height : width) >= (JDIMENSION)least)
      return;
  }
}

/* Four inks on white paper, in place. Adobe's programs, which nearly all such files are from, store
 * 255 for no ink. */
static void mix_inks(uint8_t *row, int width, bool inverted) {
  uint8_t flip = inverted ? 0 : 255;
  for (int i = 0; i < width; i++) {
    int light = row[4 * i + 3] ^ flip; /* that black leaves */
    for (int c = 0; c < 3; c++)
      row[3 * i + c] = (uint8_t)(((row[4 * i + c] ^ flip) * light + 127) / 255);
  }
}

static poa_status decode_rows(jpeg_decoder *d, poa_loaded_images *images, poa_error *error) {
  struct jpeg_decompress_struct *info = &d->info;
  bool inks = info->out_color_space == JCS_CMYK;
  d->row = malloc((size_t)info->output_width * (size_t)info->output_components);
  if (!d->row)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the image");
  jpeg_start_decompress(info);
  while (info->output_scanline < info->output_height) {
    int64_t at = info->output_scanline;
    jpeg_read_scanlines(info, &d->row, 1);
    if (inks)
      mix_inks(d->row, images->width, info->saw_Adobe_marker);
    poa_images_put_row(images, at, d->row);
  }
  jpeg_finish_decompress(info);
  return POA_OK;
}

static int orientation_of(const struct jpeg_decompress_struct *info) {
  for (jpeg_saved_marker_ptr m = info->marker_list; m; m = m->next) {
    int orientation = poa_exif_orientation(m->data, m->data_length);
    if (orientation != 1)
      return orientation;
  }
  return 1;
}

static poa_status read_image(jpeg_decoder *d, int least, poa_loaded_images *images,
                             poa_error *error) {
  struct jpeg_decompress_struct *info = &d->info;
  jpeg_save_markers(info, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(info, TRUE);
  /* Of several passes all coefficients are kept, whatever the scale. */
  poa_status status = poa_images_check_size(info->image_height, info->image_width, error);
  if (status)
    return status;
  info->out_color_space = info->num_components == 1   ? JCS_GRAYSCALE
                          : info->num_components == 4 ? JCS_CMYK
                                                      : JCS_RGB;
  choose_scale(info, least);
  int orientation = orientation_of(info); /* markers are gone once all is decoded */
  poa_loaded_images extents = {.count = 1,
                               .channels = info->num_components == 1 ? 1 : 3,
                               .height = (int)info->output_height,
                               .width = (int)info->output_width};
  status = poa_images_allocate(images, extents, false, error);
  if (status == POA_OK)
    status = decode_rows(d, images, error);
  return status ? status : poa_images_turn_upright(images, orientation, error);
}

static poa_status attempt(jpeg_decoder *d, const uint8_t *bytes, size_t size, int least,
                          poa_loaded_images *images, poa_error *error) {
  if (setjmp(d->resume))
    return poa_fail(error, POA_BAD_INPUT, "damaged JPEG: %s", d->message);
  jpeg_create_decompress(&d->info);
  jpeg_mem_src(&d->info, bytes, size);
  return read_image(d, least, images, error);
}

poa_status poa_jpeg_decode(const uint8_t *bytes, size_t size, int least, poa_loaded_images *images,
                           poa_error *error) {
  jpeg_decoder d = {.row = NULL};
  d.info.err = jpeg_std_error(&d.manager);
  d.manager.error_exit = give_up;
  d.manager.emit_message = judge_warning;
  poa_status status = attempt(&d, bytes, size, least, images, error);
  jpeg_destroy_decompress(&d.info);
  free(d.row);
  return status;
}
