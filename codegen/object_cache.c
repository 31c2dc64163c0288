/* object_cache.c: compiled kernels on disk.
 *
 * A file is the header below followed by the object, e.g.
 *   ~/.cache/poa/3f0c...e1.kernel
 * It is written under a temporary name and renamed, so that readers see all of it or
 * none, and of two writers either wins. Reading a file sets its modification time:
 * the oldest are then those not used for the longest time. */
#include "codegen/object_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX ".kernel"
#define TEMPORARY_SUFFIX ".tmp"
#define NAME_LENGTH 96
#define MAX_OBJECT_BYTES ((off_t)64 << 20)
#define ABANDONED_SECONDS 3600 /* no writer takes that long */

struct poa_object_cache {
  int folder;           /* descriptor: a path could be replaced under us */
  atomic_uint writings; /* numbers the temporary names of this process */
};

typedef struct file_header {
  char magic[8];
  poa_hash key;
  uint64_t size; /* of the object that follows */
  poa_hash checksum;
} file_header;

static const char magic[8] = {'P', 'O', 'A', 'k', 'e', 'r', 'n', '1'};

/* The folder. */

/* mkdir -p; failures show when the folder is opened. */
static void make_folders(const char *dir) {
  char *path = strdup(dir);
  if (!path)
    return;
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0700);
    *slash = '/';
  }
  mkdir(path, 0700);
  free(path);
}

static bool is_private(const struct stat *status) {
  return status->st_uid == geteuid() && (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

typedef struct cached_file {
  char name[NAME_LENGTH];
  struct timespec used;
  int64_t bytes;
} cached_file;

typedef struct cached_files {
  cached_file *items;
  size_t count, capacity;
  int64_t bytes;
} cached_files;

static void add_file(cached_files *files, const char *name, const struct stat *status) {
  if (files->count == files->capacity) {
    size_t capacity = files->capacity ? 2 * files->capacity : 64;
    cached_file *items = realloc(files->items, capacity * sizeof *items);
    if (!items)
      return;
    files->items = items;
    files->capacity = capacity;
  }
  cached_file *file = &files->items[files->count++];
  memcpy(file->name, name, strlen(name) + 1); /* checked by the caller */
  file->used = status->st_mtim;
  file->bytes = status->st_size;
  files->bytes += status->st_size;
}

static bool ends_with(const char *text, const char *suffix) {
  size_t length = strlen(text), tail = strlen(suffix);
  return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

/* Lists the kernels; deletes what crashed writers left behind. Other files are not ours. */
static void list_files(int folder, cached_files *files) {
  int descriptor = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = descriptor < 0 ? NULL : fdopendir(descriptor);
  if (!entries && descriptor >= 0)
    close(descriptor);
  if (!entries)
    return;
  for (struct dirent *entry; (entry = readdir(entries));) {
    struct stat status;
    bool kernel = ends_with(entry->d_name, SUFFIX);
    bool temporary = ends_with(entry->d_name, SUFFIX TEMPORARY_SUFFIX);
    if (!(kernel || temporary) || strlen(entry->d_name) >= NAME_LENGTH ||
        fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    if (kernel)
      add_file(files, entry->d_name, &status);
    else if (time(NULL) - status.st_mtim.tv_sec > ABANDONED_SECONDS)
      unlinkat(folder, entry->d_name, 0);
  }
  closedir(entries);
}

static int older_first(const void *a, const void *b) {
  struct timespec x = ((const cached_file *)a)->used, y = ((const cached_file *)b)->used;
  if (x.tv_sec != y.tv_sec)
    return x.tv_sec < y.tv_sec ? -1 : 1;
  return x.tv_nsec < y.tv_nsec ? -1 : x.tv_nsec > y.tv_nsec;
}

static void evict(int folder, int64_t max_bytes) {
  cached_files files = {0};
  list_files(folder, &files);
  if (files.items && files.bytes > max_bytes) {
    qsort(files.items, files.count, sizeof *files.items, older_first);
    for (size_t i = 0; i < files.count && files.bytes > max_bytes; ++i) {
      unlinkat(folder, files.items[i].name, 0);
      files.bytes -= files.items[i].bytes;
    }
  }
  free(files.items);
}

poa_object_cache *poa_object_cache_open(const char *dir, int64_t max_bytes) {
  if (!dir || !*dir)
    return NULL;
  make_folders(dir);
  int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0)
    return NULL;
  struct stat status;
  poa_object_cache *cache = NULL;
  if (fstat(folder, &status) == 0 && is_private(&status))
    cache = calloc(1, sizeof *cache);
  if (!cache) {
    close(folder);
    return NULL;
  }
  cache->folder = folder;
  evict(folder, max_bytes);
  return cache;
}

void poa_object_cache_close(poa_object_cache *cache) {
  if (!cache)
    return;
  close(cache->folder);
  free(cache);
}

/* Files. */

static bool read_all(int file, void *bytes, size_t size) {
  for (char *at = bytes; size > 0;) {
    ssize_t got = read(file, at, size);
    if (got <= 0)
      return false;
    at += got;
    size -= (size_t)got;
  }
  return true;
}

static bool write_all(int file, const void *bytes, size_t size) {
  for (const char *at = bytes; size > 0;) {
    ssize_t put = write(file, at, size);
    if (put <= 0)
      return false;
    at += put;
    size -= (size_t)put;
  }
  return true;
}

static void file_name(poa_hash key, char name[NAME_LENGTH]) {
  char digits[33];
  poa_hash_print(key, digits);
  snprintf(name, NAME_LENGTH, "%s" SUFFIX, digits);
}

/* The header of a file whose owner, size, magic and key are right. */
static bool read_header(int file, poa_hash key, file_header *header) {
  struct stat status;
  return fstat(file, &status) == 0 && S_ISREG(status.st_mode) && is_private(&status) &&
         status.st_size <= MAX_OBJECT_BYTES && read_all(file, header, sizeof *header) &&
         memcmp(header->magic, magic, sizeof magic) == 0 && poa_hash_equal(header->key, key) &&
         header->size == (uint64_t)status.st_size - sizeof *header;
}

static void *read_object(int file, poa_hash key, size_t *size) {
  file_header header;
  if (!read_header(file, key, &header))
    return NULL;
  void *bytes = malloc(header.size ? header.size : 1);
  if (bytes && read_all(file, bytes, header.size) &&
      poa_hash_equal(poa_hash_bytes(key, bytes, header.size), header.checksum)) {
    *size = header.size;
    return bytes;
  }
  free(bytes);
  return NULL;
}

void *poa_object_cache_load(poa_object_cache *cache, poa_hash key, size_t *size) {
  if (!cache)
    return NULL;
  char name[NAME_LENGTH];
  file_name(key, name);
  /* Nonblocking: a pipe of that name must not hang us. */
  int file = openat(cache->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0)
    return NULL;
  void *bytes = read_object(file, key, size);
  if (bytes)
    futimens(file, NULL);
  close(file);
  return bytes;
}

void poa_object_cache_store(poa_object_cache *cache, poa_hash key, const void *bytes, size_t size) {
  if (!cache)
    return;
  char name[NAME_LENGTH], digits[33], temporary[NAME_LENGTH];
  file_name(key, name);
  poa_hash_print(key, digits);
  snprintf(temporary, sizeof temporary, "%s.%ld.%u" SUFFIX TEMPORARY_SUFFIX, digits, (long)getpid(),
           atomic_fetch_add(&cache->writings, 1));
  int file = openat(cache->folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0)
    return;
  file_header header = {.key = key, .size = size, .checksum = poa_hash_bytes(key, bytes, size)};
  memcpy(header.magic, magic, sizeof magic);
  bool written = write_all(file, &header, sizeof header) && write_all(file, bytes, size);
  written = close(file) == 0 && written;
  if (!written || renameat(cache->folder, temporary, cache->folder, name) != 0)
    unlinkat(cache->folder, temporary, 0);
}

/* XDG Base Directory Specification: a relative path in the variable is to be ignored. */
char *poa_object_cache_default_dir(void) {
  const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  char *dir = NULL;
  int length = -1;
  if (base && base[0] == '/')
    length = asprintf(&dir, "%s/poa", base);
  else if (home && home[0] == '/')
    length = asprintf(&dir, "%s/.cache/poa", home);
  return length < 0 ? NULL : dir;
}
