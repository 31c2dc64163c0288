/* image.h: constant data with pointers, on its way into an object.
 *
 * C structs are copied into one block of bytes; where a field is a pointer, the image records
 * what it points to: another place of the block, or a symbol. Equal pieces lie there once, so
 * that the plans of a lattice share what they have in common.
 *
 *   put("features")                        -> 0
 *   put(entry, {field `entry` -> 0, field `plan` -> ..})
 *
 * The layout is that of the compiler's own structs, which is right for every 64-bit
 * little-endian target. */
#ifndef POA_CODEGEN_IMAGE_H
#define POA_CODEGEN_IMAGE_H

#include "codegen/codegen.h"

#define POA_NO_PLACE SIZE_MAX /* a NULL pointer */

typedef struct poa_image poa_image;

/* The pointer at `field` bytes into a piece. */
typedef struct poa_image_pointer {
  size_t field;
  size_t place;       /* in the image, or POA_NO_PLACE */
  const char *symbol; /* NULL: none; else it is what is pointed to, and must outlive the image */
} poa_image_pointer;

poa_image *poa_image_create(void); /* NULL without memory */
void poa_image_free(poa_image *image);

/* Adds `size` bytes, aligned to 16, with their pointers; returns their place, that of an equal
 * piece if there is one. Without memory the image fails as a whole, when it is emitted. */
size_t poa_image_put(poa_image *image, const void *bytes, size_t size,
                     const poa_image_pointer *pointers, size_t count);
/* A text, or POA_NO_PLACE for NULL. */
size_t poa_image_put_text(poa_image *image, const char *text);

/* Defines the internal constant `name` of the module with the image's bytes, and declares the
 * symbols. */
poa_status poa_image_emit(const poa_image *image, poa_emitter *e, const char *name,
                          LLVMValueRef *global, poa_error *error);

#endif
