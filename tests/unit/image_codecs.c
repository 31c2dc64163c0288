/* image_codecs: JPEG and PNG made here by the libraries, whole and damaged. */
#include <stdio.h>

#include <criterion/criterion.h>
#include <jpeglib.h> /* needs stdio.h before it */
#include <png.h>
#include <zlib.h>

#include "decode_exactly.h"

enum { HEIGHT = 24, WIDTH = 40, MAX_FILE = 1 << 16 };

typedef struct made_file {
  uint8_t bytes[MAX_FILE];
  size_t size;
} made_file;

static poa_status decode(const made_file *file, poa_loaded_images *images, poa_error *error) {
  return decode_exactly(poa_codec_decode, file->bytes, file->size, images, error);
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

static void make_jpeg(made_file *file, int channels, bool progressive) {
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
  if (progressive)
    jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (int row = 0; row < HEIGHT; row++) {
    JSAMPLE line[WIDTH * 4];
    JSAMPROW rows[] = {line};
    for (int i = 0; i < WIDTH * channels; i++)
      line[i] = (JSAMPLE)ramp(row, i / channels, i % channels);
    jpeg_write_scanlines(&info, rows, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  cr_assert(size <= sizeof file->bytes);
  memcpy(file->bytes, out, size);
  file->size = size;
  free(out);
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

/* Guards colours that cannot be turned into ours. */
Test(image_codecs, jpeg_of_four_colours) {
  made_file file;
  make_jpeg(&file, 4, false);
  refuse(&file, "damaged JPEG: Unsupported color conversion");
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

/* Guards what is neither. */
Test(image_codecs, others) {
  made_file file = {.bytes = "GIF89a, say", .size = 11};
  refuse(&file, "is no image that this program knows: .npy, IDX, PGM, PPM, JPEG, PNG");
  file.size = 0;
  refuse(&file, "is no image");
}
