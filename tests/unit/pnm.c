/* pnm: PGM and PPM images, from files that may be anything. */
#include <criterion/criterion.h>

#include "decode_exactly.h"
#include "runtime/pnm.h"

static poa_status decode(const void *bytes, size_t size, poa_loaded_images *images,
                         poa_error *error) {
  cr_assert(poa_is_pnm(bytes, size), "%.20s", (const char *)bytes);
  return decode_exactly(poa_pnm_decode, bytes, size, images, error);
}

#define TEXT(text) text, sizeof(text) - 1

/* Guards all forms: planes out of interleaved colours, comments, depths other than 255, two bytes
 * a value with the high one first. */
Test(pnm, reads) {
  static const struct {
    const char *bytes;
    size_t size;
    int channels, height, width;
    const char *pixels;
  } cases[] = {
      {TEXT("P5 3 2 255\nabcdef"), 1, 2, 3, "abcdef"},
      {TEXT("P5\n# made by\n#hand\n3 # wide\n2\n255\nabcdef"), 1, 2, 3, "abcdef"},
      {TEXT("P5#\n3\t2\r255\r#bcdef"), 1, 2, 3, "#bcdef"},
      {TEXT("P6 2 1 255\nRGBrgb"), 3, 1, 2, "RrGgBb"},
      {TEXT("P2 3 1 255 65 66\n# between values\n67"), 1, 1, 3, "ABC"},
      {TEXT("P2 3 1 255 065 66 67\n\n"), 1, 1, 3, "ABC"},
      {TEXT("P3\n1 2\n255\n65 66 67\n97 98 99"), 3, 2, 1, "AaBbCc"},
      {TEXT("P2 3 1 5 0 1 5"), 1, 1, 3, "\0\63\377"},
      {TEXT("P2 4 1 1 0 1 1 0"), 1, 1, 4, "\0\377\377\0"},
      {TEXT("P2 3 1 65535 65535 32767 128"), 1, 1, 3, "\377\177\0"},
      {TEXT("P2 2 1 65535 129 16705"), 1, 1, 2, "\1A"},
      {TEXT("P5 3 1 65535\n\377\377\101\101\0\201"), 1, 1, 3, "\377A\1"},
      {TEXT("P6 1 1 256\n\1\0\0\200\0\0"), 3, 1, 1, "\377\200\0"},
      {TEXT("P5 1 1 255\nA and the next image"), 1, 1, 1, "A"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    poa_loaded_images images;
    poa_error error;
    cr_assert_eq(decode(cases[i].bytes, cases[i].size, &images, &error), POA_OK, "%s: %s",
                 cases[i].bytes, error.message);
    cr_assert(images.count == 1 && images.channels == cases[i].channels &&
                  images.height == cases[i].height && images.width == cases[i].width,
              "%s", cases[i].bytes);
    size_t pixels = (size_t)(images.channels * images.height * images.width);
    cr_assert_arr_eq(images.pixels, cases[i].pixels, pixels, "%s", cases[i].bytes);
    poa_images_free(&images);
  }
}

/* Guards that what is no such image is refused, each with its reason, and before memory for it is
 * asked for. */
Test(pnm, hostile) {
  static const struct {
    const char *bytes;
    size_t size;
    const char *message;
  } cases[] = {
      {TEXT("P5 "), "header is damaged"},
      {TEXT("P5 # a comment without end"), "header is damaged"},
      {TEXT("P5 2 2"), "header is damaged"},
      {TEXT("P5 0 2 255\nab"), "header is damaged"},
      {TEXT("P5 2 0 255\nab"), "header is damaged"},
      {TEXT("P5 -2 2 255\nab"), "header is damaged"},
      {TEXT("P5 2 2 0\nabcd"), "header is damaged"},
      {TEXT("P5 2 2 65536\nabcd"), "header is damaged"},
      {TEXT("P5 65536 1 255\nabcd"), "header is damaged"},
      {TEXT("P5 4294967298 1 255\nab"), "header is damaged"},
      {TEXT("P5 99999999999999999999 1 255\nab"), "header is damaged"},
      {TEXT("P5 two 2 255\nabcd"), "header is damaged"},
      {TEXT("P5 2 2 255"), "expected a blank after it"},
      {TEXT("P5 2 2 255abcd"), "expected a blank after it"},
      {TEXT("P5 2 2 255\nabc"), "3 of 4 values"},
      {TEXT("P5 2 2 256\nabcdefg"), "3 of 4 values"},
      {TEXT("P6 2 2 255\nabcdefghijk"), "11 of 12 values"},
      {TEXT("P5 2 2 99\nabcd"), "value 3 is missing or not in 0..99"},
      {TEXT("P2 2 2 9 1 2 3"), "at most 3 of 4 values"},
      {TEXT("P2 2 2 9 1 2 3    "), "value 3 is missing"},
      {TEXT("P2 2 2 9 1 2 3 10 "), "value 3 is missing or not in 0..9"},
      {TEXT("P2 2 2 9 1 2 3 -4 "), "value 3 is missing"},
      {TEXT("P2 2 2 9 1 2 x 4  "), "value 2 is missing"},
      {TEXT("P2 2 2 9 1 2 70000 4"), "value 2 is missing"},
      {TEXT("P3 65535 65535 65535 1 2 3"), "of 12884508675 values"},
      {TEXT("P6 65535 65535 65535 1 2 3"), "of 12884508675 values"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    poa_loaded_images images;
    poa_error error;
    cr_assert_eq(decode(cases[i].bytes, cases[i].size, &images, &error), POA_BAD_INPUT, "%s",
                 cases[i].bytes);
    cr_assert(strstr(error.message, cases[i].message), "%s gives %s", cases[i].bytes,
              error.message);
  }
}

/* Guards images of all forms cut anywhere. */
Test(pnm, cut_short) {
  static const struct {
    const char *bytes;
    size_t size;
  } cases[] = {
      {TEXT("P5 # c\n3 2 255\nabcdef")},
      {TEXT("P6 2 1 65535\nabcdefghijkl")},
      {TEXT("P2 3 1 255 7 8 9")},
      {TEXT("P3 1 1 9 1 # c\n 2 3")},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t size = 3; size < cases[i].size; size++) {
      poa_loaded_images images;
      poa_error error;
      cr_assert_eq(decode(cases[i].bytes, size, &images, &error), POA_BAD_INPUT, "%zu bytes of %s",
                   size, cases[i].bytes);
    }
}

/* Guards that other files, netpbm's own among them, are not taken for these. */
Test(pnm, others) {
  static const struct {
    const char *bytes;
    size_t size;
  } cases[] = {
      {TEXT("")},
      {TEXT("P5")},
      {TEXT("P1 1 1 0")},
      {TEXT("P4 8 1\na")},
      {TEXT("P7\nWIDTH 1\n")},
      {TEXT("P55 1 255\na")},
      {TEXT("p5 1 1 255\na")},
      {TEXT("PK\3\4")},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    cr_assert_not(poa_is_pnm((const uint8_t *)cases[i].bytes, cases[i].size), "%s", cases[i].bytes);
}
