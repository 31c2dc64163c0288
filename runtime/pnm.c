/* pnm.c: see pnm.h. */
#include "runtime/pnm.h"

typedef struct cursor {
  const uint8_t *at, *end;
} cursor;

bool poa_is_pnm(const uint8_t *bytes, size_t size) {
  return size > 2 && bytes[0] == 'P' &&
         (bytes[1] == '2' || bytes[1] == '3' || bytes[1] == '5' || bytes[1] == '6') &&
         (bytes[2] == ' ' || bytes[2] == '\n' || bytes[2] == '\r' || bytes[2] == '\t' ||
          bytes[2] == '#');
}

static bool is_blank(uint8_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_blanks(cursor *c) {
  while (c->at < c->end && (is_blank(*c->at) || *c->at == '#'))
    if (*c->at++ == '#')
      while (c->at < c->end && *c->at != '\n')
        c->at++;
}

/* A decimal number of 0..65535; -1 if there is none. */
static int read_number(cursor *c) {
  int value = -1;
  skip_blanks(c);
  for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
    value = (value < 0 ? 0 : value) * 10 + (*c->at - '0');
    if (value > 65535)
      return -1;
  }
  return value;
}

static int scale(int value, int most) {
  return (value * 255 + most / 2) / most;
}

/* Value number `i` of raw data, one byte or two, big-endian. */
static int raw_value(const uint8_t *data, int64_t i, bool wide) {
  return wide ? data[2 * i] << 8 | data[2 * i + 1] : data[i];
}

/* Before memory is taken: a value is a byte or two, as text at least a digit and a blank. */
static poa_status check_length(const cursor *c, bool text, int most, int64_t count,
                               poa_error *error) {
  int64_t there = (c->end - c->at + text) / (text || most > 255 ? 2 : 1);
  if (there >= count)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT, "the image is cut short: %s%lld of %lld values are there",
                  text ? "at most " : "", (long long)there, (long long)count);
}

static poa_status decode_values(cursor *c, bool text, int most, poa_loaded_images *images,
                                poa_error *error) {
  int64_t plane = (int64_t)images->height * images->width, count = plane * images->channels;
  bool wide = most > 255;
  for (int64_t i = 0; i < count; i++) {
    int value = text ? read_number(c) : raw_value(c->at, i, wide);
    if (value < 0 || value > most)
      return poa_fail(error, POA_BAD_INPUT, "value %lld is missing or not in 0..%d", (long long)i,
                      most);
    images->pixels[i % images->channels * plane + i / images->channels] =
        (uint8_t)scale(value, most);
  }
  return POA_OK;
}

poa_status poa_pnm_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                          poa_error *error) {
  cursor c = {bytes + 2, bytes + size};
  bool text = bytes[1] <= '3';
  int channels = bytes[1] == '3' || bytes[1] == '6' ? 3 : 1;
  int width = read_number(&c), height = read_number(&c), most = read_number(&c);
  if (width < 1 || height < 1 || most < 1)
    return poa_fail(error, POA_BAD_INPUT,
                    "the header is damaged: expected width, height and the largest value");
  if (!text && (c.at == c.end || !is_blank(*c.at++)))
    return poa_fail(error, POA_BAD_INPUT, "the header is damaged: expected a blank after it");
  poa_status status = check_length(&c, text, most, (int64_t)channels * height * width, error);
  if (status == POA_OK)
    status = poa_images_allocate(
        images,
        (poa_loaded_images){.count = 1, .channels = channels, .height = height, .width = width},
        false, error);
  return status ? status : decode_values(&c, text, most, images, error);
}
