/* Kernels are compiled once, found again in memory and on disk, and never taken from a
 * file that is not exactly what this program wrote. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codegen/emit.h"
#include "codegen/object_cache.h"

/* y[i] = a * x[i] + y[i] over [first, last), a vector at a time and the rest masked. */
static poa_status emit_saxpy(poa_emitter *e, const void *description, const char *symbol,
                             poa_error *error) {
  (void)error;
  const float *a = description;
  int lanes = e->target->vector_lanes;
  LLVMTypeRef vector = emit_vector_type(e->f32, lanes);
  poa_emit_kernel(e, symbol);
  LLVMValueRef x = emit_buffer(e, 0), y = emit_buffer(e, 1), last = emit_last(e);
  poa_emit_loop i = poa_emit_loop_begin(e, emit_first(e), last, emit_index(e, lanes));
  LLVMValueRef mask = emit_tail_mask(e, emit_sub(e, last, i.index), lanes);
  LLVMValueRef at_x = emit_at(e, e->f32, x, i.index), at_y = emit_at(e, e->f32, y, i.index);
  LLVMValueRef value = poa_emit_masked_load(e, vector, at_y, mask, 4);
  value = emit_fma(e, poa_emit_masked_load(e, vector, at_x, mask, 4), emit_float(e, *a), value);
  poa_emit_masked_store(e, value, at_y, mask, 4);
  poa_emit_loop_end(e, &i);
  emit_return(e);
  return POA_OK;
}

static poa_status emit_failure(poa_emitter *e, const void *description, const char *symbol,
                               poa_error *error) {
  (void)e, (void)symbol;
  return poa_fail(error, POA_UNSUPPORTED, "no %s today", (const char *)description);
}

/* Not terminated: LLVM must complain to us, not to the terminal. */
static poa_status emit_invalid(poa_emitter *e, const void *description, const char *symbol,
                               poa_error *error) {
  (void)description, (void)error;
  poa_emit_kernel(e, symbol);
  return POA_OK;
}

/* Calls what the process does not have. */
static poa_status emit_unlinkable(poa_emitter *e, const void *description, const char *symbol,
                                  poa_error *error) {
  (void)description, (void)error;
  LLVMTypeRef type = LLVMFunctionType(e->f32, &e->f32, 1, false);
  LLVMValueRef absent = LLVMAddFunction(e->module, "poa_absent", type);
  poa_emit_kernel(e, symbol);
  LLVMValueRef x = emit_buffer(e, 0), value = emit_load(e, e->f32, x, 4);
  emit_store(e, emit_call(e, absent, &value, 1), x, 4);
  emit_return(e);
  return POA_OK;
}

static const float two = 2, three = 3;
static const poa_kernel_request saxpy_two = {"saxpy 2", emit_saxpy, &two};
static const poa_kernel_request saxpy_three = {"saxpy 3", emit_saxpy, &three};

typedef struct fixture {
  char dir[64];
  poa_target target;
  poa_error error;
} fixture;

static fixture set_up(void) {
  fixture f = {.dir = "/tmp/poa-kernels-XXXXXX"};
  cr_assert_not_null(mkdtemp(f.dir));
  cr_assert_eq(poa_target_init(&f.target, NULL, &f.error), POA_OK, "%s", f.error.message);
  return f;
}

static void tear_down(fixture *f) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
  cr_assert_eq(system(command), 0);
  poa_target_free(&f->target);
}

static poa_kernel_library *open_library(fixture *f, const char *dir) {
  poa_kernel_library *library;
  poa_status status = poa_kernel_library_create(&library, &f->target, dir, &f->error);
  cr_assert_eq(status, POA_OK, "%s", f->error.message);
  return library;
}

static poa_kernel_fn get_one(fixture *f, poa_kernel_library *library,
                             const poa_kernel_request *request) {
  poa_kernel_fn function = NULL;
  poa_status status = poa_kernel_library_get(library, request, 1, &function, &f->error);
  cr_assert_eq(status, POA_OK, "%s", f->error.message);
  return function;
}

static void check_saxpy(poa_kernel_fn function, float a) {
  float x[40], y[40];
  for (int i = 0; i < 40; ++i)
    x[i] = (float)i, y[i] = 100;
  function((void *[]){x, y}, 1, 38);
  for (int i = 0; i < 40; ++i)
    cr_assert_eq(y[i], 1 <= i && i < 38 ? a * (float)i + 100 : 100, "element %d: %g", i, y[i]);
}

static void check_counts(poa_kernel_library *library, int64_t compiled, int64_t memory,
                         int64_t disk) {
  poa_kernel_statistics s = poa_kernel_library_statistics(library);
  cr_assert_eq(s.compiled, compiled, "compiled %ld", (long)s.compiled);
  cr_assert_eq(s.from_memory, memory, "from memory %ld", (long)s.from_memory);
  cr_assert_eq(s.from_disk, disk, "from disk %ld", (long)s.from_disk);
}

/* One use of saxpy in a library of its own over `dir`. */
static void use_saxpy(fixture *f, const char *dir, int64_t compiled, int64_t disk) {
  poa_kernel_library *library = open_library(f, dir);
  check_saxpy(get_one(f, library, &saxpy_two), 2);
  check_counts(library, compiled, 0, disk);
  poa_kernel_library_free(library);
}

/* The path of the only kernel file in the cache. */
static void find_file(const fixture *f, char path[256]) {
  char pattern[128];
  glob_t found;
  snprintf(pattern, sizeof pattern, "%s/*.kernel", f->dir);
  cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
  cr_assert_eq(found.gl_pathc, 1);
  snprintf(path, 256, "%s", found.gl_pathv[0]);
  globfree(&found);
}

/* Protects: duplicates in a request, memory hits, order of the answers. */
Test(kernel_library, compiles_each_kernel_once) {
  fixture f = set_up();
  poa_kernel_library *library = open_library(&f, NULL);
  poa_kernel_request requests[] = {saxpy_two, saxpy_three, saxpy_two};
  poa_kernel_fn functions[3];
  cr_assert_eq(poa_kernel_library_get(library, requests, 3, functions, &f.error), POA_OK);
  cr_assert_eq(functions[0], functions[2]);
  check_saxpy(functions[0], 2);
  check_saxpy(functions[1], 3);
  check_counts(library, 2, 1, 0);
  cr_assert_eq(get_one(&f, library, &saxpy_two), functions[0]);
  check_counts(library, 2, 2, 0);
  poa_kernel_library_free(library);
  tear_down(&f);
}

/* Protects: the table's growth, and many kernels compiled by all threads at once. */
Test(kernel_library, holds_many_kernels) {
  enum { COUNT = 150 };
  fixture f = set_up();
  static float factors[COUNT];
  static char keys[COUNT][32];
  poa_kernel_request requests[COUNT];
  poa_kernel_fn functions[COUNT];
  for (int i = 0; i < COUNT; ++i) {
    factors[i] = (float)i;
    snprintf(keys[i], sizeof keys[i], "saxpy %d", i);
    requests[i] = (poa_kernel_request){keys[i], emit_saxpy, &factors[i]};
  }
  poa_kernel_library *library = open_library(&f, NULL);
  get_one(&f, library, &requests[7]);
  cr_assert_eq(poa_kernel_library_get(library, requests, COUNT, functions, &f.error), POA_OK);
  for (int i = 0; i < COUNT; ++i)
    check_saxpy(functions[i], factors[i]);
  check_counts(library, COUNT, 1, 0);
  poa_kernel_library_free(library);
  tear_down(&f);
}

/* Protects: a second process (here: library) compiles nothing. */
Test(kernel_library, finds_kernels_on_disk) {
  fixture f = set_up();
  use_saxpy(&f, f.dir, 1, 0);
  use_saxpy(&f, f.dir, 0, 1);
  tear_down(&f);
}

/* Protects: code for one CPU is never loaded for another. */
Test(kernel_library, keeps_targets_apart) {
  fixture f = set_up();
  use_saxpy(&f, f.dir, 1, 0);
  poa_target_free(&f.target);
  cr_assert_eq(poa_target_init(&f.target, "x86-64", &f.error), POA_OK, "%s", f.error.message);
  use_saxpy(&f, f.dir, 1, 0);
  tear_down(&f);
}

/* Protects: a file cut at any length is rebuilt. */
Test(kernel_library, rebuilds_truncated_files) {
  fixture f = set_up();
  char path[256];
  use_saxpy(&f, f.dir, 1, 0);
  find_file(&f, path);
  const off_t lengths[] = {0, 7, 48, 49, 300};
  for (int i = 0; i < 5; ++i) {
    cr_assert_eq(truncate(path, lengths[i]), 0);
    use_saxpy(&f, f.dir, 1, 0);
    use_saxpy(&f, f.dir, 0, 1);
  }
  tear_down(&f);
}

static void flip_bit(const char *path, off_t offset) {
  unsigned char byte;
  int file = open(path, O_RDWR);
  cr_assert_eq(pread(file, &byte, 1, offset), 1);
  byte ^= 0x10;
  cr_assert_eq(pwrite(file, &byte, 1, offset), 1);
  close(file);
}

/* Protects: one flipped bit, in the header or in the code, and the file is rebuilt. */
Test(kernel_library, rebuilds_flipped_bits) {
  fixture f = set_up();
  char path[256];
  use_saxpy(&f, f.dir, 1, 0);
  find_file(&f, path);
  const off_t offsets[] = {0, 9, 23, 24, 40, 48, 112, 400};
  for (int i = 0; i < 8; ++i) {
    flip_bit(path, offsets[i]);
    use_saxpy(&f, f.dir, 1, 0);
    use_saxpy(&f, f.dir, 0, 1);
  }
  tear_down(&f);
}

/* Protects: another kernel's file under this kernel's name is not run. */
Test(kernel_library, rebuilds_foreign_files) {
  fixture f = set_up();
  char path[256], other[256], command[600];
  use_saxpy(&f, f.dir, 1, 0);
  find_file(&f, path);
  snprintf(other, sizeof other, "%s/saved", f.dir);
  cr_assert_eq(rename(path, other), 0);
  poa_kernel_library *library = open_library(&f, f.dir);
  get_one(&f, library, &saxpy_three);
  poa_kernel_library_free(library);
  char three_path[256];
  find_file(&f, three_path);
  snprintf(command, sizeof command, "mv '%s' '%s'", three_path, path);
  cr_assert_eq(system(command), 0);
  use_saxpy(&f, f.dir, 1, 0);
  tear_down(&f);
}

/* Protects: a file whose header is right but whose object is nonsense or lacks the symbol
 * is compiled afresh instead of failing. */
Test(kernel_library, rebuilds_objects_that_do_not_link) {
  fixture f = set_up();
  char path[256], digits[33] = "", nonsense[200] = "nonsense";
  use_saxpy(&f, f.dir, 1, 0);
  find_file(&f, path);
  memcpy(digits, strrchr(path, '/') + 1, 32);
  poa_hash key;
  cr_assert_eq(sscanf(digits, "%16lx%16lx", &key.word[0], &key.word[1]), 2);
  poa_object_cache *cache = poa_object_cache_open(f.dir, POA_OBJECT_CACHE_MAX_BYTES);
  poa_object_cache_store(cache, key, nonsense, sizeof nonsense);
  use_saxpy(&f, f.dir, 1, 0);
  use_saxpy(&f, f.dir, 0, 1);

  char other_path[256];
  cr_assert_eq(unlink(path), 0);
  poa_kernel_library *library = open_library(&f, f.dir);
  get_one(&f, library, &saxpy_three);
  poa_kernel_library_free(library);
  find_file(&f, other_path);
  poa_hash other_key;
  memcpy(digits, strrchr(other_path, '/') + 1, 32);
  cr_assert_eq(sscanf(digits, "%16lx%16lx", &other_key.word[0], &other_key.word[1]), 2);
  size_t size;
  void *object = poa_object_cache_load(cache, other_key, &size);
  cr_assert_not_null(object);
  poa_object_cache_store(cache, key, object, size);
  free(object);
  poa_object_cache_close(cache);
  use_saxpy(&f, f.dir, 1, 0);
  tear_down(&f);
}

/* Protects: folders and files that others could write are not trusted, and no error. */
Test(kernel_library, ignores_what_others_can_write) {
  fixture f = set_up();
  char path[256];
  use_saxpy(&f, f.dir, 1, 0);
  find_file(&f, path);
  cr_assert_eq(chmod(path, 0666), 0);
  use_saxpy(&f, f.dir, 1, 0); /* replaces the file */
  use_saxpy(&f, f.dir, 0, 1);
  cr_assert_eq(chmod(f.dir, 0770), 0);
  use_saxpy(&f, f.dir, 1, 0);
  cr_assert_eq(chmod(f.dir, 0700), 0);
  char link[300];
  snprintf(link, sizeof link, "%s.moved", path);
  cr_assert_eq(rename(path, link), 0);
  cr_assert_eq(symlink(link, path), 0);
  use_saxpy(&f, f.dir, 1, 0);
  tear_down(&f);
}

/* Protects: a cache folder that cannot be made or written is no error. */
Test(kernel_library, works_without_a_cache) {
  fixture f = set_up();
  char path[128];
  use_saxpy(&f, "/proc/no/such/folder", 1, 0);
  snprintf(path, sizeof path, "%s/file", f.dir);
  close(open(path, O_CREAT | O_WRONLY, 0600));
  use_saxpy(&f, path, 1, 0);
  use_saxpy(&f, "/dev/full", 1, 0);
  snprintf(path, sizeof path, "%s/a/b/c", f.dir);
  use_saxpy(&f, path, 1, 0); /* made with its parents */
  use_saxpy(&f, path, 0, 1);
  tear_down(&f);
}

/* Protects: a disk that takes only part of a file leaves no file, and no error. */
Test(kernel_library, survives_a_full_disk) {
  fixture f = set_up();
  poa_object_cache *cache = poa_object_cache_open(f.dir, POA_OBJECT_CACHE_MAX_BYTES);
  const char bytes[1000] = {1};
  const poa_hash key = {{1, 2}};
  struct rlimit old, tight;
  cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
  tight = (struct rlimit){100, old.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
  poa_object_cache_store(cache, key, bytes, sizeof bytes);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
  char pattern[128];
  glob_t found;
  size_t size;
  snprintf(pattern, sizeof pattern, "%s/*", f.dir);
  cr_assert_eq(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
  cr_assert_null(poa_object_cache_load(cache, key, &size));
  poa_object_cache_store(cache, key, bytes, sizeof bytes);
  void *loaded = poa_object_cache_load(cache, key, &size);
  cr_assert(loaded && size == sizeof bytes && memcmp(loaded, bytes, size) == 0);
  free(loaded);
  poa_object_cache_close(cache);
  tear_down(&f);
}

/* Protects: processes that fill one folder at once, each reading what another may write. */
Test(kernel_library, processes_share_a_folder) {
  enum { PROCESSES = 4, KERNELS = 8 };
  fixture f = set_up();
  for (int p = 0; p < PROCESSES; ++p)
    if (fork() == 0) {
      poa_kernel_library *library = open_library(&f, f.dir);
      for (int i = 0; i < KERNELS; ++i) {
        char key[32];
        float a = (float)i;
        snprintf(key, sizeof key, "saxpy of %d", i);
        poa_kernel_request request = {key, emit_saxpy, &a};
        check_saxpy(get_one(&f, library, &request), a);
      }
      poa_kernel_library_free(library);
      _exit(0);
    }
  for (int p = 0; p < PROCESSES; ++p) {
    int result;
    cr_assert(wait(&result) > 0 && WIFEXITED(result) && WEXITSTATUS(result) == 0);
  }
  char pattern[128];
  glob_t found;
  snprintf(pattern, sizeof pattern, "%s/*", f.dir);
  cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
  cr_assert_eq(found.gl_pathc, KERNELS, "temporary files are left");
  globfree(&found);
  tear_down(&f);
}

/* Protects: libraries do not share symbols; freeing one leaves the other alone. */
Test(kernel_library, two_libraries_are_independent) {
  fixture f = set_up();
  poa_kernel_library *a = open_library(&f, f.dir), *b = open_library(&f, f.dir);
  poa_kernel_fn in_a = get_one(&f, a, &saxpy_two), in_b = get_one(&f, b, &saxpy_two);
  check_saxpy(in_a, 2);
  poa_kernel_library_free(a);
  check_saxpy(in_b, 2);
  check_counts(b, 0, 0, 1);
  poa_kernel_library_free(b);
  tear_down(&f);
}

/* Protects: an emitter's message arrives unchanged; what compiled stays usable, and a
 * failed kernel can be asked for again. */
Test(kernel_library, passes_on_errors) {
  fixture f = set_up();
  poa_kernel_library *library = open_library(&f, NULL);
  poa_kernel_request requests[] = {
      saxpy_two, {"failing", emit_failure, "soup"}, {"invalid", emit_invalid, NULL}};
  poa_kernel_fn functions[3];
  for (int i = 0; i < 2; ++i) {
    poa_error error = {0};
    cr_assert_eq(poa_kernel_library_get(library, requests, 3, functions, &error), POA_UNSUPPORTED);
    cr_assert_str_eq(error.message, "no soup today");
  }
  check_saxpy(get_one(&f, library, &saxpy_two), 2);
  check_counts(library, 1, 2, 0);
  poa_error error = {0};
  cr_assert_eq(poa_kernel_library_get(library, &requests[2], 1, functions, &error),
               POA_UNSUPPORTED);
  cr_assert(strstr(error.message, "terminator"), "%s", error.message);
  cr_assert_eq(poa_kernel_library_get(library, requests, 3, functions, NULL), POA_UNSUPPORTED);
  poa_kernel_library_free(library);
  tear_down(&f);
}

/* Protects: what does not link is an error that names the symbol, again and again. */
Test(kernel_library, reports_missing_symbols) {
  fixture f = set_up();
  poa_kernel_library *library = open_library(&f, NULL);
  poa_kernel_request request = {"calls absent", emit_unlinkable, NULL};
  poa_kernel_fn function;
  for (int i = 0; i < 2; ++i) {
    poa_error error = {0};
    cr_assert_eq(poa_kernel_library_get(library, &request, 1, &function, &error), POA_UNSUPPORTED);
    cr_assert(strstr(error.message, "calls absent") && strstr(error.message, "poa_absent"), "%s",
              error.message);
  }
  check_saxpy(get_one(&f, library, &saxpy_two), 2);
  poa_kernel_library_free(library);
  tear_down(&f);
}

/* Protects: the bound on the cache's size, and that the files used last survive. */
Test(kernel_library, evicts_the_oldest) {
  fixture f = set_up();
  char bytes[1000] = {1};
  poa_object_cache *cache = poa_object_cache_open(f.dir, 1 << 20);
  for (uint64_t i = 0; i < 10; ++i) {
    poa_object_cache_store(cache, (poa_hash){{i, 1}}, bytes, sizeof bytes);
    usleep(10000);
  }
  size_t size;
  free(poa_object_cache_load(cache, (poa_hash){{0, 1}}, &size)); /* now the youngest */
  poa_object_cache_close(cache);
  cache = poa_object_cache_open(f.dir, 5500);
  for (uint64_t i = 0; i < 10; ++i) {
    void *found = poa_object_cache_load(cache, (poa_hash){{i, 1}}, &size);
    cr_assert_eq(found != NULL, i == 0 || i >= 6, "file %d", (int)i);
    free(found);
  }
  poa_object_cache_close(cache);
  tear_down(&f);
}

/* Protects: the folder named by the environment. */
Test(kernel_library, default_folder) {
  setenv("XDG_CACHE_HOME", "/x", 1);
  char *dir = poa_object_cache_default_dir();
  cr_assert_str_eq(dir, "/x/poa");
  free(dir);
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/h", 1);
  dir = poa_object_cache_default_dir();
  cr_assert_str_eq(dir, "/h/.cache/poa");
  free(dir);
  unsetenv("HOME");
  cr_assert_null(poa_object_cache_default_dir());
}

/* Protects: names of CPUs that we cannot compile for are explained. */
Test(kernel_library, explains_unknown_cpus) {
  poa_target target;
  poa_error error = {0};
  cr_assert_eq(poa_target_init(&target, "haswel", &error), POA_BAD_INPUT);
  cr_assert(strstr(error.message, "unknown CPU 'haswel'"), "%s", error.message);
  poa_target_free(&target);
}
