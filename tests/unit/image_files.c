/* image_files: what is told by content, and what is refused. */
#include <criterion/criterion.h>
#include <sys/stat.h>
#include <zlib.h>

#include "runtime/dataset.h"
#include "runtime/image_files.h"
#include "temporary_folder.h"

static char folder[64];

static void start(void) {
  make_folder(folder);
}

static void finish(void) {
  remove_folder(folder);
}

static const char *path_of(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void write_file(const char *name, const void *bytes, size_t size) {
  FILE *file = fopen(path_of(name), "wb");
  cr_assert(file && fwrite(bytes, 1, size, file) == size);
  fclose(file);
}

/* The message names the file and says `what`. */
static void refuse(const char *name, poa_status expected, const char *what) {
  poa_loaded_images images;
  poa_error error = {0};
  cr_assert_eq(poa_images_load(path_of(name), 0, &images, &error), expected, "%s", error.message);
  cr_assert(strncmp(error.message, path_of(name), strlen(path_of(name))) == 0, "%s", error.message);
  cr_assert(strstr(error.message, what), "%s", error.message);
  cr_assert(!images.pixels && !images.values);
}

TestSuite(image_files, .init = start, .fini = finish, .timeout = 60);

/* Guards that the name of a file says nothing. */
Test(image_files, told_by_content) {
  poa_loaded_images images;
  poa_error error = {0};
  write_file("image.npy", "P5 2 1 255\nab", 13);
  cr_assert_eq(poa_images_load(path_of("image.npy"), 0, &images, &error), POA_OK, "%s",
               error.message);
  cr_assert(images.count == 1 && images.width == 2 && images.pixels[1] == 'b');
  poa_images_free(&images);
  write_file("image.pgm", "\0\0\10\3\0\0\0\2\0\0\0\1\0\0\0\1ab", 18);
  cr_assert_eq(poa_images_load(path_of("image.pgm"), 0, &images, &error), POA_OK, "%s",
               error.message);
  cr_assert(images.count == 2 && images.channels == 1 && images.pixels[1] == 'b');
  poa_images_free(&images);
}

/* Guards what is no file of images; a pipe that nobody writes to must not keep us waiting. */
Test(image_files, refuses) {
  cr_assert_eq(mkfifo(path_of("pipe"), 0600), 0);
  write_file("empty", "", 0);
  write_file("text", "hello", 5);
  write_file("byte", "P", 1);
  write_file("image.jpg", "\377\330\377\340", 4);
  write_file("image.png", "\211PNG\r\n\32\n", 8);
  write_file("image.webp", "RIFF\20\0\0\0WEBPVP8L", 16);
  refuse("missing", POA_IO, "No such file");
  refuse(".", POA_BAD_INPUT, "is no file");
  refuse("pipe", POA_BAD_INPUT, "is no file");
  refuse("empty", POA_BAD_INPUT, "is empty");
  refuse("text", POA_BAD_INPUT, "is no image that this program knows");
  refuse("byte", POA_BAD_INPUT, "is no image that this program knows");
  refuse("image.jpg", POA_UNSUPPORTED, "is a JPEG file, and this program was compiled without");
  refuse("image.png", POA_UNSUPPORTED, "is a PNG file, and this program was compiled without");
  refuse("image.webp", POA_UNSUPPORTED, "is a WebP file, and this program was compiled without");
  cr_assert(!poa_codec_knows(POA_IMAGE_JPEG) && !poa_codec_knows(POA_IMAGE_WEBP));
  cr_assert_eq(unlink(path_of("pipe")), 0);
}

/* Guards whole factors: means of squares, rounded, as long as the shorter side stays long enough.
 */
Test(image_files, comes_smaller) {
  static const struct {
    int least, height, width;
  } cases[] = {{0, 5, 7}, {3, 5, 7}, {5, 5, 7}, {9, 5, 7}, {2, 2, 3}, {1, 1, 1}};
  write_file("image.pgm", "P5 7 5 255\n\0\1\2\3\4\5\6\0\1\2\3\4\5\7\377\377", 11 + 16);
  FILE *file = fopen(path_of("image.pgm"), "ab");
  for (int i = 16; i < 35; i++)
    fputc(i, file);
  fclose(file);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    poa_loaded_images images;
    poa_error error = {0};
    cr_assert_eq(poa_images_load(path_of("image.pgm"), cases[i].least, &images, &error), POA_OK);
    cr_assert(images.height == cases[i].height && images.width == cases[i].width, "%d: %d x %d",
              cases[i].least, images.height, images.width);
    if (cases[i].least == 2) { /* (0+1+0+1)/4, (2+3+2+3)/4, (4+5+4+5)/4; (255+255+21+22)/4, .. */
      cr_assert_arr_eq(images.pixels, "\1\3\5", 3);
      cr_assert_arr_eq(images.pixels + 3, "\212\24\26", 3);
    }
    poa_images_free(&images);
  }
}

/* Guards that decoders' messages get the file's name too. */
Test(image_files, names_the_file) {
  write_file("short.pgm", "P5 9 9 255\nab", 13);
  write_file("short.npy", "\x93NUMPY\1\0", 8);
  write_file("short.idx", "\0\0\10\3\0\0", 6);
  refuse("short.pgm", POA_BAD_INPUT, "cut short");
  refuse("short.npy", POA_BAD_INPUT, "cut short");
  refuse("short.idx", POA_BAD_INPUT, "cut short");
}

/* Guards a small compressed file that unfolds to an image of one column, longer than any. */
Test(image_files, absurd_idx) {
  enum { ROWS = 3 << 20 };
  const unsigned char header[] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0x30, 0, 0, 0, 0, 0, 1};
  void *zeros = calloc(ROWS, 1);
  gzFile file = gzopen(path_of("long.gz"), "wb");
  cr_assert(zeros && file);
  cr_assert_eq(gzwrite(file, header, sizeof header), (int)sizeof header);
  cr_assert_eq(gzwrite(file, zeros, ROWS), ROWS);
  gzclose(file);
  free(zeros);
  refuse("long.gz", POA_BAD_INPUT, "an image of 1 x 3145728");
}

/* Guards a folder that holds images of formats whose libraries are not linked: they are told and
 * counted, and if there are no others the folder is refused. */
Test(image_files, folder_of_foreign_formats) {
  poa_dataset *data;
  poa_error error = {0}, none = {0};
  char message[2000];
  write_file("a.jpg", "\377\330\377\340", 4);
  write_file("b.PNG", "\211PNG\r\n\32\n", 8);
  cr_assert_eq(poa_dataset_open(&data, folder, "train", &none), POA_UNSUPPORTED);
  cr_assert(strstr(none.message, "of 2 image files this program can read none"), "%s",
            none.message);
  cr_assert(strstr(none.message, "a.jpg"), "%s", none.message);
  write_file("c.pgm", "P5 2 1 255\nab", 13);
  cr_assert_eq(poa_dataset_open(&data, folder, "train", &error), POA_OK, "%s", error.message);
  cr_assert_eq(data->count, 1);
  cr_assert_eq(poa_dataset_unreadable(data), 2);
  cr_assert(poa_dataset_complaint(data, message, sizeof message));
  cr_assert(strstr(message, "a.jpg: is a JPEG file, and this program was compiled without "
                            "--with-images (or poa without the library of that format); so it is "
                            "with 2 files in all"),
            "%s", message);
  poa_dataset_free(data);
}
