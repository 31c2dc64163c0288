/* image_webp.c: WebP by libwebp, on white where it is transparent. */
#include <stdlib.h>
#include <webp/decode.h>

#include "runtime/image_codecs.h"

static poa_status fail(VP8StatusCode code, poa_error *error) {
  if (code == VP8_STATUS_OUT_OF_MEMORY)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the image");
  if (code == VP8_STATUS_NOT_ENOUGH_DATA)
    return poa_fail(error, POA_BAD_INPUT, "damaged WebP: it is cut short");
  return poa_fail(error, POA_BAD_INPUT, "damaged WebP");
}

/* Red, green, blue and opacity of a row become red, green and blue. */
static void lay_on_white(uint8_t *row, int width) {
  for (int i = 0; i < width; i++) {
    int opacity = row[4 * i + 3];
    for (int c = 0; c < 3; c++)
      row[3 * i + c] = (uint8_t)((row[4 * i + c] * opacity + 255 * (255 - opacity) + 127) / 255);
  }
}

static poa_status decode_rows(const uint8_t *bytes, size_t size, uint8_t *rows, bool opacity,
                              poa_loaded_images *images, poa_error *error) {
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config))
    return poa_fail(error, POA_UNSUPPORTED,
                    "the libwebp at hand is not the one poa was built with");
  int stride = images->width * (opacity ? 4 : 3);
  config.output.colorspace = opacity ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = (WebPRGBABuffer){
      .rgba = rows, .stride = stride, .size = (size_t)stride * (size_t)images->height};
  VP8StatusCode code = WebPDecode(bytes, size, &config);
  if (code != VP8_STATUS_OK)
    return fail(code, error);
  for (int y = 0; y < images->height; y++) {
    uint8_t *row = rows + (int64_t)y * stride;
    if (opacity)
      lay_on_white(row, images->width);
    poa_images_put_row(images, y, row);
  }
  return POA_OK;
}

poa_status poa_webp_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                           poa_error *error) {
  WebPBitstreamFeatures has;
  VP8StatusCode code = WebPGetFeatures(bytes, size, &has);
  if (code != VP8_STATUS_OK)
    return fail(code, error);
  if (has.has_animation)
    return poa_fail(error, POA_UNSUPPORTED, "is an animated WebP, not one image");
  poa_loaded_images extents = {.count = 1, .channels = 3, .height = has.height, .width = has.width};
  poa_status status = poa_images_allocate(images, extents, false, error);
  if (status)
    return status;
  uint8_t *rows = malloc((size_t)has.width * (size_t)has.height * (has.has_alpha ? 4 : 3));
  status = rows ? decode_rows(bytes, size, rows, has.has_alpha, images, error)
                : poa_fail(error, POA_NO_MEMORY, "no memory for the image");
  free(rows);
  return status;
}
