/* image_codecs: JPEG, PNG and WebP made here by the libraries, whole and damaged. */
#include <stdio.h>

#include <criterion/criterion.h>
#include <jpeglib.h> /* needs stdio.h before it */
#include <math.h>
#include <png.h>
#include <zlib.h>

#ifdef POA_WEBP
#include <webp/encode.h>
#endif

#include "decode_exactly.h"
#include "runtime/orientation.h"

enum { HEIGHT = 24, WIDTH = 40, MAX_FILE = 1 << 16 };

typedef struct made_file {
  uint8_t bytes[MAX_FILE];
  size_t size;
} made_file;

static poa_status decode_whole(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                               poa_error *error) {
  return poa_codec_decode(bytes, size, 0, images, error);
}

static poa_status decode(const made_file *file, poa_loaded_images *images, poa_error *error) {
  return decode_exactly(decode_whole, file->bytes, file->size, images, error);
}

/* A smooth image, so that JPEG keeps it nearly. */
static int ramp(int row, int column, int channel) {
  return channel == 0 ? 4 * row + 40 : channel == 1 ? 5 * column + 20 : 3 * (row + column) + 10;
}

static void expect_ramp(const made_file *file, int channels, int tolerance) {
  poa_loaded_images images;
  poa_error error;
  cr_assert_eq(decode(file, &images, &error), POA_OK, "%s", error.message);
  cr_assert(images.count == 1 && images.channels == channels && images.height == HEIGHT &&
            images.width == WIDTH && !images.values);
  for (int c = 0; c < channels; c++)
    for (int row = 0; row < HEIGHT; row++)
      for (int column = 0; column < WIDTH; column++) {
        int found = images.pixels[(c * HEIGHT + row) * WIDTH + column];
        cr_assert(abs(found - ramp(row, column, c)) <= tolerance, "%d %d %d: %d", c, row, column,
                  found);
      }
  poa_images_free(&images);
}

static void refuse(const made_file *file, const char *message) {
  poa_loaded_images images;
  poa_error error;
  cr_assert_eq(decode(file, &images, &error), POA_BAD_INPUT);
  cr_assert(strstr(error.message, message), "%s", error.message);
}

/* Guards a file of any kind cut anywhere before `end`. */
static void refuse_cuts(made_file file, size_t end) {
  for (file.size = 9; file.size < end; file.size++) {
    poa_loaded_images images;
    poa_error error;
    cr_assert_eq(decode(&file, &images, &error), POA_BAD_INPUT, "%zu of %zu bytes", file.size, end);
  }
}

/* Whatever damage makes of a file: a message or an image, and memory within bounds. */
static int count_refused_damage(made_file file) {
  int refused = 0;
  for (size_t at = 2; at < file.size; at++) {
    poa_loaded_images images;
    poa_error error;
    file.bytes[at] ^= 0x55;
    poa_status status = decode(&file, &images, &error);
    refused += status == POA_BAD_INPUT;
    cr_assert(status == POA_BAD_INPUT || images.pixels, "byte %zu: %s", at, error.message);
    poa_images_free(&images);
    file.bytes[at] ^= 0x55;
  }
  return refused;
}

/* JPEG */

/* With APP1 segment `exif`, if there is one. Four channels are inks: what is left of the light, as
 * Adobe's programs store it, if `adobe`. */
static void make_jpeg_with(made_file *file, int channels, bool progressive, bool adobe,
                           const void *exif, unsigned exif_size) {
  struct jpeg_compress_struct info;
  struct jpeg_error_mgr manager;
  info.err = jpeg_std_error(&manager);
  jpeg_create_compress(&info);
  unsigned char *out = NULL;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_width = WIDTH;
  info.image_height = HEIGHT;
  info.input_components = channels;
  info.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 95, TRUE);
  if (channels == 4)
    info.write_Adobe_marker = adobe;
  if (progressive)
    jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  if (exif)
    jpeg_write_marker(&info, JPEG_APP0 + 1, exif, exif_size);
  for (int row = 0; row < HEIGHT; row++) {
    JSAMPLE line[WIDTH * 4];
    JSAMPROW rows[] = {line};
    for (int i = 0; i < WIDTH * channels; i++)
      line[i] = (JSAMPLE)ramp(row, i / channels, i % channels);
    for (int i = 0; channels == 4 && i < WIDTH; i++)
      line[4 * i + 3] = 128;
    for (int i = 0; channels == 4 && !adobe && i < WIDTH * 4; i++)
      line[i] = 255 - line[i];
    jpeg_write_scanlines(&info, rows, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  cr_assert(size <= sizeof file->bytes);
  memcpy(file->bytes, out, size);
  file->size = size;
  free(out);
}

static void make_jpeg(made_file *file, int channels, bool progressive) {
  make_jpeg_with(file, channels, progressive, false, NULL, 0);
}

/* Guards grey and coloured images, in one pass and in several. */
Test(image_codecs, jpeg) {
  made_file file;
  for (int progressive = 0; progressive < 2; progressive++) {
    make_jpeg(&file, 1, progressive);
    expect_ramp(&file, 1, 3);
    make_jpeg(&file, 3, progressive);
    expect_ramp(&file, 3, 12);
  }
}

/* Guards that half an image is not taken for one. */
Test(image_codecs, jpeg_cut_short) {
  made_file file;
  for (int progressive = 0; progressive < 2; progressive++) {
    make_jpeg(&file, 3, progressive);
    refuse_cuts(file, file.size);
  }
  file.size -= 100;
  refuse(&file, "damaged JPEG: Premature end of JPEG file");
}

/* Guards damage anywhere. */
Test(image_codecs, jpeg_damaged) {
  made_file file;
  for (int progressive = 0; progressive < 2; progressive++) {
    make_jpeg(&file, 3, progressive);
    cr_assert(count_refused_damage(file) > 50);
  }
}

/* Guards the tolerance: bytes that belong to nothing, which many cameras write, lose no pixel. */
Test(image_codecs, jpeg_with_bytes_too_many) {
  made_file file;
  make_jpeg(&file, 3, false);
  memcpy(file.bytes + file.size - 2, "\1\2\3\4\377\331", 6);
  file.size += 4;
  expect_ramp(&file, 3, 12);
}

/* Guards printers' colours, stored both ways: half of the light is left by the black. */
Test(image_codecs, jpeg_of_four_colours) {
  made_file file;
  for (int adobe = 0; adobe < 2; adobe++) {
    make_jpeg_with(&file, 4, false, adobe, NULL, 0);
    poa_loaded_images images;
    poa_error error;
    cr_assert_eq(decode(&file, &images, &error), POA_OK, "%s", error.message);
    cr_assert_eq(images.channels, 3);
    for (int i = 0; i < 3 * HEIGHT * WIDTH; i++) {
      int expected = ramp(i / WIDTH % HEIGHT, i % WIDTH, i / WIDTH / HEIGHT) * 128 / 255;
      cr_assert(abs(images.pixels[i] - expected) <= 4, "%d: %d, expected %d", i, images.pixels[i],
                expected);
    }
    poa_images_free(&images);
  }
}

/* Guards the scale: the smallest whose shorter side is long enough, of all that there are, and an
 * image that still is the ramp. */
Test(image_codecs, jpeg_at_a_scale) {
  static const struct {
    int least, height, width;
  } cases[] = {{0, 24, 40},  {1, 3, 5},    {3, 3, 5},    {4, 6, 10},   {6, 6, 10},    {7, 9, 15},
               {12, 12, 20}, {13, 15, 25}, {20, 21, 35}, {24, 24, 40}, {1000, 24, 40}};
  made_file file;
  for (int progressive = 0; progressive < 2; progressive++)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      poa_loaded_images images = {0};
      poa_error error = {0};
      make_jpeg(&file, 1, progressive);
      cr_assert_eq(poa_codec_decode(file.bytes, file.size, cases[i].least, &images, &error), POA_OK,
                   "%s", error.message);
      cr_assert(images.height == cases[i].height && images.width == cases[i].width, "%d: %d x %d",
                cases[i].least, images.height, images.width);
      for (int row = 0; row < images.height; row++) {
        double at = (row + 0.5) * HEIGHT / images.height - 0.5, expected = 4 * at + 40;
        int found = images.pixels[row * images.width + images.width / 2];
        cr_assert(fabs(found - expected) <= 4, "least %d, row %d: %d", cases[i].least, row, found);
      }
      poa_images_free(&images);
    }
}

/* Exif with one entry before the orientation's, in either byte order. */
static unsigned make_exif(uint8_t exif[64], bool big_endian, int orientation) {
  static const uint8_t little[] = "Exif\0\0II*\0\x08\0\0\0\x02\0"
                                  "\x0f\x01\x02\0\x01\0\0\0A\0\0\0"
                                  "\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0";
  static const uint8_t big[] = "Exif\0\0MM\0*\0\0\0\x08\0\x02"
                               "\x01\x0f\0\x02\0\0\0\x01"
                               "A\0\0\0"
                               "\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
  enum { VALUE = 6 + 8 + 2 + 12 + 8 };
  memcpy(exif, big_endian ? big : little, sizeof big - 1);
  exif[VALUE + big_endian] = (uint8_t)orientation;
  return sizeof big - 1;
}

/* Where the pixel at (row, column) of the upright image lies in the file, after the pictures of
 * the Exif specification (4.6.4, tag 0x0112). */
static int stored_at(int orientation, int row, int column) {
  const int bottom = HEIGHT - 1, right = WIDTH - 1;
  const int at[9][2] = {{0},
                        {row, column},
                        {row, right - column},
                        {bottom - row, right - column},
                        {bottom - row, column},
                        {column, row},
                        {bottom - column, row},
                        {bottom - column, right - row},
                        {column, right - row}};
  return at[orientation][0] * WIDTH + at[orientation][1];
}

/* Guards photographs that were taken with the camera held otherwise. */
Test(image_codecs, jpeg_turned_upright) {
  made_file file;
  poa_error error;
  poa_loaded_images plain, images;
  make_jpeg(&file, 3, false);
  cr_assert_eq(decode(&file, &plain, &error), POA_OK);
  for (int orientation = 0; orientation <= 9; orientation++) {
    uint8_t exif[64];
    unsigned size = make_exif(exif, orientation % 2, orientation);
    int means = orientation < 1 || orientation > 8 ? 1 : orientation;
    make_jpeg_with(&file, 3, false, false, exif, size);
    cr_assert_eq(decode(&file, &images, &error), POA_OK, "%s", error.message);
    cr_assert_eq(images.height, means >= 5 ? WIDTH : HEIGHT, "%d", orientation);
    cr_assert_eq(images.width, means >= 5 ? HEIGHT : WIDTH);
    for (int i = 0; i < 3 * HEIGHT * WIDTH; i++) {
      int row = i / images.width % images.height, plane = i / (HEIGHT * WIDTH) * HEIGHT * WIDTH;
      int from = plane + stored_at(means, row, i % images.width);
      cr_assert_eq(images.pixels[i], plain.pixels[from], "%d: %d", orientation, i);
    }
    poa_images_free(&images);
  }
  poa_images_free(&plain);
}

/* Guards Exif that is cut anywhere or damaged anywhere: an orientation comes out, and no step
 * beyond the end. */
Test(image_codecs, damaged_exif) {
  for (int big_endian = 0; big_endian < 2; big_endian++) {
    uint8_t exif[64];
    unsigned size = make_exif(exif, big_endian, 6);
    cr_assert_eq(poa_exif_orientation(exif, size), 6);
    for (unsigned cut = 0; cut < size; cut++) {
      uint8_t *copy = malloc(cut ? cut : 1); /* the sanitizers watch its end */
      memcpy(copy, exif, cut);
      int found = poa_exif_orientation(copy, cut);
      cr_assert(found == 6 ? cut >= 38 : found == 1, "%u: %d", cut, found);
      free(copy);
    }
    for (unsigned bit = 0; bit < 8 * size; bit++) {
      exif[bit / 8] ^= (uint8_t)(1 << bit % 8);
      int found = poa_exif_orientation(exif, size);
      cr_assert(found >= 1 && found <= 8, "%d", found);
      exif[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
  }
}

/* Guards extents that no memory may be asked for. */
Test(image_codecs, jpeg_of_absurd_extents) {
  made_file file;
  for (int progressive = 0; progressive < 2; progressive++) {
    make_jpeg(&file, 3, progressive);
    uint8_t *frame = memmem(file.bytes, file.size, progressive ? "\377\302" : "\377\300", 2);
    cr_assert(frame);
    memset(frame + 5, 0xfd, 4); /* height, width: 65021 */
    refuse(&file, "an image of 65021 x 65021");
  }
}

/* PNG */

static void append(png_structp png, png_bytep bytes, png_size_t size) {
  made_file *file = png_get_io_ptr(png);
  cr_assert(file->size + size <= sizeof file->bytes);
  memcpy(file->bytes + file->size, bytes, size);
  file->size += size;
}

static void flush(png_structp png) {
  (void)png;
}

/* The value of a channel, or of the transparency after the last: the left half cannot be seen. */
static int png_value(int row, int column, int channel, int channels) {
  if (channel < channels)
    return ramp(row, column, channel);
  return column < WIDTH / 2 ? 0 : 255;
}

/* The ramp, at 8 or 16 bits. */
static void make_png(made_file *file, int colour_type, int depth, int interlace) {
  int channels = colour_type & PNG_COLOR_MASK_COLOR ? 3 : 1;
  int all = channels + (colour_type & PNG_COLOR_MASK_ALPHA ? 1 : 0);
  static uint8_t lines[HEIGHT][WIDTH * 8];
  uint8_t *rows[HEIGHT];
  for (int row = 0; row < HEIGHT; row++) {
    rows[row] = lines[row];
    for (int i = 0; i < WIDTH * all * depth / 8; i++) {
      int value = i / (depth / 8);
      lines[row][i] = (uint8_t)png_value(row, value / all, value % all, channels);
    }
  }
  file->size = 0;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, file, append, flush);
  png_set_IHDR(png, info, WIDTH, HEIGHT, depth, colour_type, interlace, 0, 0);
  png_write_info(png, info);
  png_write_image(png, rows);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
}

/* Guards all depths and orders; values are taken as they are, whatever their depth. */
Test(image_codecs, png) {
  made_file file;
  for (int depth = 8; depth <= 16; depth += 8)
    for (int interlace = 0; interlace < 2; interlace++) {
      make_png(&file, PNG_COLOR_TYPE_GRAY, depth, interlace);
      expect_ramp(&file, 1, 0);
      make_png(&file, PNG_COLOR_TYPE_RGB, depth, interlace);
      expect_ramp(&file, 3, 0);
    }
}

static void expect_white_left_half(const made_file *file, int channels) {
  poa_loaded_images images;
  poa_error error;
  cr_assert_eq(decode(file, &images, &error), POA_OK, "%s", error.message);
  cr_assert_eq(images.channels, channels);
  for (int i = 0; i < channels * HEIGHT * WIDTH; i++) {
    int column = i % WIDTH, row = i / WIDTH % HEIGHT, c = i / WIDTH / HEIGHT;
    cr_assert_eq(images.pixels[i], column < WIDTH / 2 ? 255 : ramp(row, column, c),
                 "%d channels, row %d, column %d, channel %d: %d", channels, row, column, c,
                 images.pixels[i]);
  }
  poa_images_free(&images);
}

/* Guards that what is transparent is white, and what is not is itself. */
Test(image_codecs, png_with_transparency) {
  made_file file;
  for (int depth = 8; depth <= 16; depth += 8)
    for (int interlace = 0; interlace < 2; interlace++) {
      make_png(&file, PNG_COLOR_TYPE_GRAY_ALPHA, depth, interlace);
      expect_white_left_half(&file, 1);
      make_png(&file, PNG_COLOR_TYPE_RGB_ALPHA, depth, interlace);
      expect_white_left_half(&file, 3);
    }
}

/* Guards images of few colours, four to a byte, of which one is transparent. */
Test(image_codecs, png_with_palette) {
  made_file file = {.size = 0};
  png_color palette[] = {{1, 2, 3}, {40, 50, 60}, {7, 8, 9}, {255, 0, 128}};
  png_byte alpha[] = {255, 255, 0};
  png_byte packed = 0x1b; /* 0, 1, 2, 3 */
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &file, append, flush);
  png_set_IHDR(png, info, 4, 1, 2, PNG_COLOR_TYPE_PALETTE, 0, 0, 0);
  png_set_PLTE(png, info, palette, 4);
  png_set_tRNS(png, info, alpha, 3, NULL);
  png_write_info(png, info);
  png_write_row(png, &packed);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  poa_loaded_images images;
  poa_error error;
  cr_assert_eq(decode(&file, &images, &error), POA_OK, "%s", error.message);
  cr_assert(images.channels == 3 && images.height == 1 && images.width == 4);
  cr_assert_arr_eq(images.pixels, "\1\50\377\377\2\62\377\0\3\74\377\200", 12);
  poa_images_free(&images);
}

/* Guards that half an image is not taken for one. */
Test(image_codecs, png_cut_short) {
  made_file file;
  for (int interlace = 0; interlace < 2; interlace++) {
    make_png(&file, PNG_COLOR_TYPE_RGB, 8, interlace);
    refuse_cuts(file, file.size);
  }
}

/* Guards damage anywhere. */
Test(image_codecs, png_damaged) {
  made_file file;
  for (int interlace = 0; interlace < 2; interlace++) {
    make_png(&file, PNG_COLOR_TYPE_RGB, interlace ? 16 : 8, interlace);
    cr_assert(count_refused_damage(file) > (int)file.size / 2);
  }
}

/* Guards extents that no memory may be asked for, under a good checksum. */
Test(image_codecs, png_of_absurd_extents) {
  made_file file;
  make_png(&file, PNG_COLOR_TYPE_RGB, 8, 0);
  uint8_t *header = file.bytes + 12; /* IHDR, width, height, .. */
  memcpy(header + 4, "\0\0\375\375\0\0\375\375", 8);
  uint32_t sum = __builtin_bswap32((uint32_t)crc32(0, header, 17));
  memcpy(header + 17, &sum, 4);
  refuse(&file, "an image of 65021 x 65021");
}

/* WebP */

#ifdef POA_WEBP
/* Lossless, so that the ramp stays; with opacity the left half cannot be seen. */
static void make_webp(made_file *file, bool opacity) {
  static uint8_t lines[HEIGHT][WIDTH][4];
  for (int row = 0; row < HEIGHT; row++)
    for (int column = 0; column < WIDTH; column++)
      for (int c = 0; c < 4; c++)
        lines[row][column][c] = (uint8_t)(opacity || c < 3 ? png_value(row, column, c, 3) : 255);
  uint8_t *out = NULL;
  file->size = WebPEncodeLosslessRGBA(lines[0][0], WIDTH, HEIGHT, WIDTH * 4, &out);
  cr_assert(file->size > 0 && file->size <= sizeof file->bytes);
  memcpy(file->bytes, out, file->size);
  WebPFree(out);
}

/* Guards values, transparency, and files cut short or damaged. */
Test(image_codecs, webp) {
  made_file file;
  make_webp(&file, false);
  expect_ramp(&file, 3, 0);
  cr_assert(count_refused_damage(file) > 20);
  refuse_cuts(file, file.size - 1); /* the last byte may be padding */
  file.size /= 2;
  refuse(&file, "damaged WebP: it is cut short");
  make_webp(&file, true);
  expect_white_left_half(&file, 3);
}
#endif

/* Guards what is none of them. */
Test(image_codecs, others) {
  made_file file = {.bytes = "GIF89a, say", .size = 11};
  refuse(&file, "is no image that this program knows: .npy, IDX, PGM, PPM, JPEG, PNG");
  file.size = 0;
  refuse(&file, "is no image");
  cr_assert(poa_codec_knows(POA_IMAGE_JPEG) && poa_codec_knows(POA_IMAGE_PNG));
#ifndef POA_WEBP
  cr_assert(!poa_codec_knows(POA_IMAGE_WEBP));
  file = (made_file){.bytes = "RIFF\x10\0\0\0WEBPVP8L", .size = 16};
  poa_loaded_images images;
  poa_error error;
  cr_assert_eq(decode(&file, &images, &error), POA_UNSUPPORTED);
  cr_assert(strstr(error.message, "built without libwebp"), "%s", error.message);
#endif
}
