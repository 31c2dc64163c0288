/* image.c: see image.h. */
#include "codegen/image.h"

#include <stdlib.h>
#include <string.h>

#include "codegen/content_hash.h"

enum { ALIGNMENT = 16, IMAGE_ALIGNMENT = 64, POINTER = sizeof(void *) };

typedef struct fixup {
  size_t at; /* in the image */
  size_t place;
  const char *symbol;
} fixup;

/* A piece that can be found again. */
typedef struct piece {
  poa_hash hash;
  size_t place;
} piece;

struct poa_image {
  char *bytes;
  size_t size, capacity;
  fixup *fixups;
  size_t fixup_count, fixup_capacity;
  piece *pieces;
  size_t piece_count, piece_capacity;
  size_t *slots; /* open addressing: 1 + index of a piece */
  size_t slot_count;
  bool failed; /* out of memory */
};

poa_image *poa_image_create(void) {
  return calloc(1, sizeof(poa_image));
}

void poa_image_free(poa_image *image) {
  if (!image)
    return;
  free(image->bytes);
  free(image->fixups);
  free(image->pieces);
  free(image->slots);
  free(image);
}

/* Makes room for `count` elements in all. */
static bool grow(void **array, size_t *capacity, size_t count, size_t element) {
  if (count <= *capacity)
    return true;
  size_t larger = *capacity ? *capacity : 1024;
  while (larger < count)
    larger *= 2;
  void *moved = realloc(*array, larger * element);
  if (!moved)
    return false;
  *array = moved;
  *capacity = larger;
  return true;
}

static bool reserve(poa_image *image, size_t bytes, size_t fixups) {
  return grow((void **)&image->bytes, &image->capacity, image->size + bytes + ALIGNMENT, 1) &&
         grow((void **)&image->fixups, &image->fixup_capacity, image->fixup_count + fixups,
              sizeof *image->fixups) &&
         grow((void **)&image->pieces, &image->piece_capacity, image->piece_count + 1,
              sizeof *image->pieces);
}

/* Finding equal pieces */

static poa_hash hash_piece(const char *bytes, size_t size, const poa_image_pointer *pointers,
                           size_t count) {
  poa_hash hash = poa_hash_bytes((poa_hash){{size, count}}, bytes, size);
  for (size_t i = 0; i < count; i++) {
    hash = poa_hash_bytes(hash, &pointers[i].field, sizeof pointers[i].field);
    hash = poa_hash_bytes(hash, &pointers[i].place, sizeof pointers[i].place);
    hash = poa_hash_text(hash, pointers[i].symbol ? pointers[i].symbol : "");
  }
  return hash;
}

static size_t *find_slot(const poa_image *image, poa_hash hash) {
  size_t slot = (size_t)hash.word[0] & (image->slot_count - 1);
  while (image->slots[slot] && !poa_hash_equal(image->pieces[image->slots[slot] - 1].hash, hash))
    slot = (slot + 1) & (image->slot_count - 1);
  return &image->slots[slot];
}

/* Keeps the slots at most half full. */
static bool grow_slots(poa_image *image) {
  if (2 * (image->piece_count + 1) <= image->slot_count)
    return true;
  size_t count = image->slot_count ? 2 * image->slot_count : 2048;
  size_t *slots = calloc(count, sizeof *slots);
  if (!slots)
    return false;
  free(image->slots);
  image->slots = slots;
  image->slot_count = count;
  for (size_t i = 0; i < image->piece_count; i++)
    *find_slot(image, image->pieces[i].hash) = i + 1;
  return true;
}

/* Adding */

static size_t append(poa_image *image, const char *bytes, size_t size,
                     const poa_image_pointer *pointers, size_t count) {
  size_t place = (image->size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  memset(image->bytes + image->size, 0, place - image->size);
  memcpy(image->bytes + place, bytes, size);
  image->size = place + size;
  for (size_t i = 0; i < count; i++) {
    memset(image->bytes + place + pointers[i].field, 0, POINTER);
    if (pointers[i].symbol || pointers[i].place != POA_NO_PLACE)
      image->fixups[image->fixup_count++] =
          (fixup){place + pointers[i].field, pointers[i].place, pointers[i].symbol};
  }
  return place;
}

size_t poa_image_put(poa_image *image, const void *bytes, size_t size,
                     const poa_image_pointer *pointers, size_t count) {
  if (image->failed || !reserve(image, size, count) || !grow_slots(image)) {
    image->failed = true;
    return 0;
  }
  /* Pointers of the compiler's own memory would make equal pieces differ. */
  char *clean = malloc(size + 1);
  if (!clean) {
    image->failed = true;
    return 0;
  }
  memcpy(clean, bytes, size);
  for (size_t i = 0; i < count; i++)
    memset(clean + pointers[i].field, 0, POINTER);
  poa_hash hash = hash_piece(clean, size, pointers, count);
  size_t *slot = find_slot(image, hash);
  if (!*slot) {
    size_t place = append(image, clean, size, pointers, count);
    image->pieces[image->piece_count++] = (piece){.hash = hash, .place = place};
    *slot = image->piece_count;
  }
  free(clean);
  return image->pieces[*slot - 1].place;
}

size_t poa_image_put_text(poa_image *image, const char *text) {
  return text ? poa_image_put(image, text, strlen(text) + 1, NULL, 0) : POA_NO_PLACE;
}

/* Emission: runs of bytes, and pointers between them. */

static int compare_fixups(const void *a, const void *b) {
  size_t x = ((const fixup *)a)->at, y = ((const fixup *)b)->at;
  return (x > y) - (x < y);
}

static LLVMTypeRef run_type(const poa_emitter *e, size_t length) {
  return LLVMArrayType2(e->i8, length);
}

static LLVMValueRef symbol_of(poa_emitter *e, const char *name) {
  LLVMValueRef found = LLVMGetNamedFunction(e->module, name);
  if (found)
    return found;
  found = LLVMGetNamedGlobal(e->module, name);
  if (found)
    return found;
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), NULL, 0, false);
  LLVMValueRef declared = LLVMAddFunction(e->module, name, type);
  LLVMSetVisibility(declared, LLVMHiddenVisibility);
  return declared;
}

static LLVMValueRef pointer_of(poa_emitter *e, const fixup *f, LLVMValueRef image) {
  if (f->symbol)
    return symbol_of(e, f->symbol);
  LLVMValueRef place = LLVMConstInt(e->i64, f->place, false);
  return LLVMConstInBoundsGEP2(e->i8, image, &place, 1);
}

/* The types of runs and pointers, or with `values` their values. */
static unsigned split(const poa_image *image, poa_emitter *e, LLVMTypeRef *types,
                      LLVMValueRef *values, LLVMValueRef global) {
  unsigned count = 0;
  size_t at = 0;
  for (size_t i = 0; i <= image->fixup_count; i++) {
    size_t end = i < image->fixup_count ? image->fixups[i].at : image->size;
    if (end > at) {
      if (values)
        values[count] = LLVMConstStringInContext2(e->context, image->bytes + at, end - at, true);
      types[count++] = run_type(e, end - at);
    }
    if (i < image->fixup_count) {
      if (values)
        values[count] = pointer_of(e, &image->fixups[i], global);
      types[count++] = e->pointer;
      at = end + POINTER;
    }
  }
  return count;
}

poa_status poa_image_emit(const poa_image *image, poa_emitter *e, const char *name,
                          LLVMValueRef *global, poa_error *error) {
  size_t most = 2 * image->fixup_count + 2;
  LLVMTypeRef *types = malloc(most * sizeof *types);
  LLVMValueRef *values = malloc(most * sizeof *values);
  poa_status status = POA_OK;
  if (image->failed || !types || !values) {
    status = poa_fail(error, POA_NO_MEMORY, "out of memory for the plans of a program");
  } else {
    qsort(image->fixups, image->fixup_count, sizeof *image->fixups, compare_fixups);
    unsigned count = split(image, e, types, NULL, NULL);
    LLVMTypeRef type = LLVMStructTypeInContext(e->context, types, count, true);
    *global = LLVMAddGlobal(e->module, type, name);
    split(image, e, types, values, *global);
    LLVMSetInitializer(*global, LLVMConstStructInContext(e->context, values, count, true));
    LLVMSetGlobalConstant(*global, true);
    LLVMSetLinkage(*global, LLVMInternalLinkage);
    LLVMSetAlignment(*global, IMAGE_ALIGNMENT);
  }
  free(types);
  free(values);
  return status;
}
