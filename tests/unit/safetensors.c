/* safetensors.c: the strict reader and the all-or-nothing writer. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "runtime/safetensors.h"
#include "temporary_folder.h"

static char folder[64], path[100];

static void setup(void) {
  make_folder(folder);
  snprintf(path, sizeof path, "%s/file.safetensors", folder);
}

static void teardown(void) {
  remove_folder(folder);
}

TestSuite(safetensors, .init = setup, .fini = teardown);

static void write_bytes(const void *bytes, size_t count) {
  FILE *file = fopen(path, "wb");
  cr_assert_eq(fwrite(bytes, 1, count, file), count);
  fclose(file);
}

/* Writes a file of the header length (as given), the header and `data_bytes` zeros. */
static void write_raw(uint64_t length, const char *header, size_t data_bytes) {
  size_t bytes = 8 + strlen(header) + data_bytes;
  char *content = calloc(1, bytes);
  for (int i = 0; i < 8; i++)
    content[i] = (char)(length >> 8 * i);
  memcpy(content + 8, header, strlen(header));
  write_bytes(content, bytes);
  free(content);
}

static void expect_refusal(const char *expected) {
  poa_error error = {0};
  poa_safetensors *file;
  cr_expect_neq(poa_safetensors_open(&file, path, &error), POA_OK, "accepted: %s", expected);
  cr_expect(strstr(error.message, path) && strstr(error.message, expected), "got: %s\nwanted: %s",
            error.message, expected);
  poa_safetensors_close(file);
}

#define A(shape, begin, end)                                                                       \
  "\"a\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"
#define B(shape, begin, end)                                                                       \
  "\"b\":{\"dtype\":\"U8\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

/* Protects: every way in which a header can lie is refused, with file, tensor and reason. */
Test(safetensors, hostile_headers) {
  const struct {
    const char *header;
    size_t data_bytes;
    const char *expected;
  } rows[] = {
      {"", 0, "must be a JSON object"},
      {"[1]", 0, "must be a JSON object"},
      {" {}", 0, "start with '{'"},
      {"{", 0, "is not JSON"},
      {"{\"a\":}", 0, "is not JSON"},
      {"{}{}", 0, "goes on after its JSON object"},
      {"{}x", 0, "goes on after its JSON object, at byte 2"},
      {"{\"a\xff\":1}", 0, "unable to decode byte 0xff near '\"a', near byte 3"},
      {"{\"a\xc0\x80\":1}", 0, "unable to decode byte"},
      {"{\"a\xed\xa0\x80\":1}", 0, "unable to decode byte"},
      {"{\"a\xf4\x90\x80\x80\":1}", 0, "unable to decode byte"},
      {"{\"a\x01\":1}", 0, "control character 0x1"},
      {"{\"a\\u0000b\":1}", 0, "NUL byte"},
      {"{\"a\":1}", 0, "tensor 'a': expected exactly the fields"},
      {"{\"a\":{}}", 0, "tensor 'a': expected exactly the fields"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"x\":1}}", 4,
       "expected exactly the fields"},
      {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
       "duplicate object key"},
      {"{\"a\":{\"dtype\":\"F8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1,
       "dtype 'F8' is unknown"},
      {"{\"a\":{\"dtype\":4,\"shape\":[],\"data_offsets\":[0,1]}}", 1, "dtype '' is unknown"},
      {"{" A("3", "0", "12") "}", 12, "shape must be a list"},
      {"{" A("[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "at most 8 extents"},
      {"{" A("[-1]", "0", "4") "}", 4, "extent 0 of its shape must be an integer not below 0"},
      {"{" A("[1,1.5]", "0", "4") "}", 4, "extent 1 of its shape"},
      {"{" A("[\"1\"]", "0", "4") "}", 4, "extent 0 of its shape"},
      {"{" A("[1e300]", "0", "4") "}", 4, "extent 0 of its shape"},
      {"{" A("[1]", "-4", "0") "}", 4, "data_offsets must be two integers"},
      {"{" A("[1]", "4", "0") "}", 4, "0 <= begin <= end"},
      {"{" A("[1]", "0.5", "4.5") "}", 8, "data_offsets must be two integers"},
      {"{" A("[1]", "0", "4,8") "}", 8, "data_offsets must be two integers"},
      {"{" A("[2]", "0", "8") "}", 4, "its data ends at byte 8, but the file has 4"},
      {"{" A("[1]", "0", "9007199254740992") "}", 4, "it is truncated"},
      {"{" A("[2]", "0", "4") "}", 4, "span 4 bytes, but its shape and dtype F32 need 8"},
      {"{" A("[1073741824,1073741824,1073741824,1073741824]", "0", "0") "}", 0, "more than 2^63"},
      {"{" A("[1]", "0", "4") "," B("[2]", "2", "4") "}", 4, "overlaps that of 'a'"},
      {"{" A("[1]", "0", "4") "," B("[4]", "0", "4") "}", 4, "overlaps that of"},
      {"{" A("[1]", "0", "4") "," B("[1]", "5", "6") "}", 6, "a gap of 1 bytes before"},
      {"{" A("[1]", "4", "8") "}", 8, "a gap of 4 bytes before the data of tensor 'a'"},
      {"{" A("[1]", "0", "4") "}", 7, "3 bytes follow the data of the last tensor"},
      {"{}", 1, "1 bytes follow"},
      {"{" A("[1]", "0", "4") "," A("[1]", "4", "8") "}", 8, "duplicate object key near '\"a\"'"},
      {"{\"__metadata__\":{\"k\":1}}", 0, "values are all strings"},
      {"{\"__metadata__\":[\"k\"]}", 0, "values are all strings"},
      {"{\"__metadata__\":\"k\"}", 0, "values are all strings"},
      {"{\"__metadata__\":{\"k\":\"v\",\"k\":\"w\"}}", 0, "duplicate object key near '\"k\"'"},
      {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate object key"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    write_raw(strlen(rows[i].header), rows[i].header, rows[i].data_bytes);
    expect_refusal(rows[i].expected);
  }
}

/* Protects: the length word is not believed either, and what is no file is no crash. */
Test(safetensors, hostile_files) {
  write_bytes("1234567", 7);
  expect_refusal("at least 8 bytes");
  write_raw(3, "{}", 0);
  expect_refusal("a header of 3 bytes, but the file ends before");
  write_raw(UINT64_MAX, "{}", 0);
  expect_refusal("the file ends before");
  write_raw(UINT64_C(200000000), "{}", 8);
  cr_assert_eq(truncate(path, 300000000), 0);
  expect_refusal("100 MB is the limit");
  cr_assert_eq(unlink(path), 0);
  expect_refusal("No such file");
  cr_assert_eq(mkfifo(path, 0600), 0);
  expect_refusal("expected a plain file");
  unlink(path);
  cr_assert_eq(mkdir(path, 0700), 0);
  expect_refusal("expected a plain file");
  rmdir(path);
}

/* Protects: any truncation of a good file, and any one damaged bit of its header, is either
 * refused or read without touching memory that is not there (run under a sanitizer). */
Test(safetensors, damaged_anywhere) {
  const char header[] =
      "{\"__metadata__\":{\"k\":\"v\"}," A("[1]", "0", "4") "," B("[2]", "4", "6") "}";
  size_t bytes = 8 + strlen(header) + 6;
  char content[300] = {(char)strlen(header)};
  memcpy(content + 8, header, strlen(header));
  poa_safetensors *file;
  for (size_t cut = 0; cut < bytes; cut++) {
    write_bytes(content, cut);
    cr_expect_neq(poa_safetensors_open(&file, path, NULL), POA_OK, "cut at %zu", cut);
  }
  for (size_t bit = 0; bit < 8 * (bytes - 6); bit++) {
    content[bit / 8] ^= (char)(1 << bit % 8);
    write_bytes(content, bytes);
    if (poa_safetensors_open(&file, path, NULL) == POA_OK) {
      float values[2];
      for (int i = 0; i < file->tensor_count; i++)
        poa_tensor_to_f32(&file->tensors[i], values);
    }
    poa_safetensors_close(file);
    content[bit / 8] ^= (char)(1 << bit % 8);
  }
}

/* Protects: spaces after the header, empty tensors, scalars, escapes and odd alignment are
 * legal, as other writers make them. */
Test(safetensors, legal_oddities) {
  poa_error error = {0};
  poa_safetensors *file;
  const char header[] = "{" B("[1]", "0", "1") "," A(
      "[]", "1", "5") ",\"e\\\\u0000\\u00e9\":"
                      "{\"data_offsets\":[1,1],\"shape\":[0,3],\"dtype\":\"I64\"}}\n  ";
  write_raw(strlen(header), header, 5);
  cr_assert_eq(poa_safetensors_open(&file, path, &error), POA_OK, "%s", error.message);
  cr_assert_eq(file->tensor_count, 3);
  cr_assert_not_null(poa_safetensors_find(file, "e\\u0000\xc3\xa9"));
  cr_assert_null(poa_safetensors_find(file, "c"));
  cr_assert_null(poa_safetensors_metadata(file, "k"));
  float value = 1;
  poa_tensor_to_f32(poa_safetensors_find(file, "a"), &value);
  cr_assert_eq(value, 0);
  poa_safetensors_close(file);
}

/* Protects: each type converts to float, int and bool by value; what does not fit is named. */
Test(safetensors, conversions) {
  const uint16_t halves[] = {0x0000, 0x8001, 0x03ff, 0x3c00, 0xc248, 0x7bff, 0xfc00, 0x7e00};
  const float from_halves[] = {0, -0x1p-24f, 0x3ffp-24f, 1, -3.140625f, 65504, -INFINITY, NAN};
  const uint16_t brains[] = {0x3f80, 0xc049};
  const int64_t large[] = {1, INT64_C(1) << 40};
  const double doubles[] = {0.1};
  const uint8_t bytes[] = {0, 1, 2};
  float floats[8];
  int32_t integers[8];
  uint8_t booleans[8];
  poa_file_tensor f16 = {"h", POA_TENSOR_F16, {1, {8}}, .data = halves};
  poa_file_tensor bf16 = {"b", POA_TENSOR_BF16, {1, {2}}, .data = brains};
  poa_file_tensor i64 = {"i", POA_TENSOR_I64, {1, {2}}, .data = large};
  poa_file_tensor f64 = {"d", POA_TENSOR_F64, {0, {0}}, .data = doubles};
  poa_file_tensor u8 = {"u", POA_TENSOR_U8, {1, {3}}, .data = bytes};
  poa_tensor_to_f32(&f16, floats);
  for (int i = 0; i < 7; i++)
    cr_expect_eq(floats[i], from_halves[i], "half %d", i);
  cr_expect(isnan(floats[7]));
  poa_tensor_to_f32(&bf16, floats);
  cr_expect(floats[0] == 1 && floats[1] == -3.140625f);
  poa_tensor_to_f32(&i64, floats);
  cr_expect_eq(floats[1], 0x1p40f);
  poa_tensor_to_f32(&f64, floats);
  cr_expect_eq(floats[0], 0.1f);
  cr_expect_eq(poa_tensor_to_i32(&u8, integers, NULL), POA_OK);
  cr_expect(integers[0] == 0 && integers[2] == 2);
  poa_error error = {0};
  cr_expect_eq(poa_tensor_to_i32(&i64, integers, &error), POA_BAD_INPUT);
  cr_expect(strstr(error.message, "'i': element 1 is 1099511627776"), "%s", error.message);
  error = (poa_error){0};
  cr_expect_eq(poa_tensor_to_bool(&u8, booleans, &error), POA_BAD_INPUT);
  cr_expect(strstr(error.message, "element 2 is 2, expected 0..1"), "%s", error.message);
  u8.shape.dim[0] = 2;
  cr_expect_eq(poa_tensor_to_bool(&u8, booleans, NULL), POA_OK);
  cr_expect_eq(poa_tensor_to_bool(&f64, booleans, NULL), POA_BAD_INPUT);
}

static const float weights[] = {1, -2, 3.5f, 0, 5, 6};
static const uint8_t mask[] = {1, 0, 1};
static const poa_file_tensor tensors[] = {
    {"mask", POA_TENSOR_BOOL, {1, {3}}, .data = mask},
    {"w \"quoted\"", POA_TENSOR_F32, {2, {2, 3}}, .data = weights},
    {"b", POA_TENSOR_F32, {0, {0}}, .data = weights},
};
static const poa_metadata metadata[] = {{"step", "10"}, {"note", "line\nbreak \xc3\xa9"}};

static size_t read_bytes(char *content, size_t most) {
  FILE *file = fopen(path, "rb");
  size_t count = fread(content, 1, most, file);
  fclose(file);
  return count;
}

/* Protects: what is written reads back; the bytes depend on the content only, and the header is
 * padded so that the data is aligned. */
Test(safetensors, round_trip_and_deterministic_bytes) {
  poa_error error = {0};
  poa_safetensors *file;
  char first[1000], second[1000];
  cr_assert_eq(poa_safetensors_write(path, 3, tensors, 2, metadata, &error), POA_OK, "%s",
               error.message);
  size_t bytes = read_bytes(first, sizeof first);
  cr_assert_eq(poa_safetensors_open(&file, path, &error), POA_OK, "%s", error.message);
  const poa_file_tensor *read = poa_safetensors_find(file, "w \"quoted\"");
  cr_assert_not_null(read);
  cr_assert_eq((uintptr_t)read->data % 4, 0);
  cr_assert_arr_eq(read->data, weights, sizeof weights);
  cr_assert_eq(poa_safetensors_find(file, "b")->shape.rank, 0);
  cr_assert_str_eq(poa_safetensors_metadata(file, "note"), metadata[1].value);
  poa_safetensors_close(file);
  const poa_file_tensor other_order[] = {tensors[2], tensors[0], tensors[1]};
  const poa_metadata other_metadata[] = {metadata[1], metadata[0]};
  cr_assert_eq(poa_safetensors_write(path, 3, other_order, 2, other_metadata, NULL), POA_OK);
  cr_assert_eq(read_bytes(second, sizeof second), bytes);
  cr_assert_arr_eq(first, second, bytes);
  cr_assert_eq((unsigned char)first[0] % 8, 0);
}

/* Protects: names that would make an unreadable file are refused, and nothing is written. */
Test(safetensors, writer_refuses_repeated_names) {
  poa_error error = {0};
  const poa_file_tensor twice[] = {tensors[0], {"mask", POA_TENSOR_F32, {0, {0}}, .data = weights}};
  cr_expect_eq(poa_safetensors_write(path, 2, twice, 0, NULL, &error), POA_BAD_INPUT);
  cr_expect(strstr(error.message, "two tensors are called 'mask'"), "%s", error.message);
  error = (poa_error){0};
  const poa_metadata same[] = {{"k", "1"}, {"k", "1"}};
  cr_expect_eq(poa_safetensors_write(path, 0, NULL, 2, same, &error), POA_BAD_INPUT);
  cr_expect(strstr(error.message, "metadata 'k'"), "%s", error.message);
  cr_expect_eq(count_files(folder), 0);
}

/* Protects: when the disk fills up at any byte, the old file stays whole and no temporary is left.
 */
Test(safetensors, full_disk_leaves_the_old_file) {
  char before[1000], after[1000];
  cr_assert_eq(poa_safetensors_write(path, 3, tensors, 2, metadata, NULL), POA_OK);
  size_t whole = read_bytes(before, sizeof before);
  cr_assert_eq(poa_safetensors_write(path, 2, tensors, 0, NULL, NULL), POA_OK);
  size_t bytes = read_bytes(before, sizeof before);
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit old, limit;
  getrlimit(RLIMIT_FSIZE, &old);
  limit = old;
  for (limit.rlim_cur = 0; limit.rlim_cur < whole; limit.rlim_cur += 7) {
    poa_error error = {0};
    setrlimit(RLIMIT_FSIZE, &limit);
    poa_status status = poa_safetensors_write(path, 3, tensors, 2, metadata, &error);
    setrlimit(RLIMIT_FSIZE, &old); /* before anything else is written, messages too */
    cr_assert_eq(status, POA_IO, "limit %d", (int)limit.rlim_cur);
    cr_assert(strstr(error.message, path) && strstr(error.message, "free some space"), "%s",
              error.message);
    cr_assert_eq(read_bytes(after, sizeof after), bytes);
    cr_assert_arr_eq(before, after, bytes);
    cr_assert_eq(count_files(folder), 1);
  }
}

/* Protects: a device or a folder is never replaced by a file; a missing folder is an error. */
Test(safetensors, writer_refuses_odd_targets) {
  const char *const rows[][2] = {{"/dev/full", "not a plain file"},
                                 {"/tmp", "not a plain file"},
                                 {"/nonexistent/file", "No such file"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    poa_error error = {0};
    cr_expect_eq(poa_safetensors_write(rows[i][0], 2, tensors, 0, NULL, &error), POA_IO);
    cr_expect(strstr(error.message, rows[i][0]) && strstr(error.message, rows[i][1]), "%s",
              error.message);
  }
}

/* Protects: writing through a symbolic link replaces what it points to and keeps the link, and
 * the file keeps its permissions. */
Test(safetensors, writer_follows_links_and_keeps_permissions) {
  char link[100];
  struct stat status;
  snprintf(link, sizeof link, "%s/link", folder);
  write_bytes("old", 3);
  cr_assert_eq(chmod(path, 0600), 0);
  cr_assert_eq(symlink("file.safetensors", link), 0);
  cr_assert_eq(poa_safetensors_write(link, 2, tensors, 0, NULL, NULL), POA_OK);
  cr_assert_eq(lstat(link, &status), 0);
  cr_assert(S_ISLNK(status.st_mode));
  cr_assert_eq(stat(path, &status), 0);
  cr_assert_eq(status.st_mode & 07777, 0600);
  cr_assert_gt(status.st_size, 3);
}
