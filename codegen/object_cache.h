/* object_cache.h: compiled kernels on disk, one file each, named by content.
 *
 * Files hold native code, so the folder must be the user's alone, and what is read is
 * checked: owner, size, magic, key and checksum. Anything doubtful counts as absent; the
 * kernel is then compiled again and the file replaced. No function here fails: a cache
 * that cannot be used is an empty one that keeps nothing. */
#ifndef POA_CODEGEN_OBJECT_CACHE_H
#define POA_CODEGEN_OBJECT_CACHE_H

#include "codegen/content_hash.h"

#define POA_OBJECT_CACHE_MAX_BYTES (INT64_C(512) << 20)

typedef struct poa_object_cache poa_object_cache;

/* Opens `dir`, creating it (0700) and its parents if need be, and deletes the files that
 * were used longest ago until at most `max_bytes` are left. NULL if the folder cannot be
 * used: not creatable, not a folder, of another owner, or writable by group or others. */
poa_object_cache *poa_object_cache_open(const char *dir, int64_t max_bytes);
void poa_object_cache_close(poa_object_cache *cache); /* NULL is fine */

/* The object stored under `key`: `*size` bytes to be freed by the caller, or NULL. Both
 * functions accept a NULL cache and may be called from several threads and processes. */
void *poa_object_cache_load(poa_object_cache *cache, poa_hash key, size_t *size);
void poa_object_cache_store(poa_object_cache *cache, poa_hash key, const void *bytes, size_t size);

/* $XDG_CACHE_HOME/poa or ~/.cache/poa, to be freed by the caller; NULL if the
 * environment names neither. */
char *poa_object_cache_default_dir(void);

#endif
