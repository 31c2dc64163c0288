/* aot_constants.c: see aot_constants.h. One function for each struct of runtime/plan.h and
 * program/program.h that holds pointers: what it points to goes first. */
#include "codegen/aot_constants.h"

#include <stddef.h>
#include <stdlib.h>

#define POINTER_AT(type, field, to) {offsetof(type, field), (to), NULL}
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Where an array of structs goes: its elements have `per` pointers each, filled in by the caller.
 */
typedef struct array_pointers {
  poa_image_pointer *pointer;
  size_t count;
} array_pointers;

static array_pointers allocate(size_t elements, size_t per) {
  return (array_pointers){.pointer = malloc((elements * per + 1) * sizeof(poa_image_pointer))};
}

/* The pointer in a field of element `index`. */
static void add(array_pointers *p, size_t index, size_t element, size_t field, size_t place) {
  if (p->pointer)
    p->pointer[p->count++] = (poa_image_pointer){index * element + field, place, NULL};
}

/* Puts the array, or nothing if memory ran out: then the image has failed as well. */
static size_t put_array(poa_image *image, const void *array, size_t elements, size_t element,
                        array_pointers *p) {
  size_t place = POA_NO_PLACE;
  if (elements && p->pointer)
    place = poa_image_put(image, array, elements * element, p->pointer, p->count);
  free(p->pointer);
  return place;
}

static size_t put_external(poa_image *image, const poa_plan_external *external) {
  if (!external)
    return POA_NO_PLACE;
  size_t arguments =
      external->argument_count
          ? poa_image_put(image, external->arguments,
                          (size_t)external->argument_count * sizeof *external->arguments, NULL, 0)
          : POA_NO_PLACE;
  poa_image_pointer pointers[] = {
      POINTER_AT(poa_plan_external, symbol, poa_image_put_text(image, external->symbol)),
      POINTER_AT(poa_plan_external, arguments, arguments)};
  return poa_image_put(image, external, sizeof *external, pointers, COUNT(pointers));
}

static size_t put_launches(poa_image *image, const poa_plan *plan, const char *const *symbols) {
  size_t count = (size_t)plan->launch_count, size = sizeof(poa_plan_launch);
  array_pointers p = allocate(count, 6);
  for (size_t i = 0; i < count && p.pointer; i++) {
    const poa_plan_launch *launch = &plan->launches[i];
    size_t buffers =
        launch->buffer_count
            ? poa_image_put(image, launch->buffers,
                            (size_t)launch->buffer_count * sizeof *launch->buffers, NULL, 0)
            : POA_NO_PLACE;
    add(&p, i, size, offsetof(poa_plan_launch, external), put_external(image, launch->external));
    add(&p, i, size, offsetof(poa_plan_launch, buffers), buffers);
    add(&p, i, size, offsetof(poa_plan_launch, label), poa_image_put_text(image, launch->label));
    add(&p, i, size, offsetof(poa_plan_launch, family), poa_image_put_text(image, launch->family));
    add(&p, i, size, offsetof(poa_plan_launch, branch), poa_image_put_text(image, launch->branch));
    add(&p, i, size, offsetof(poa_plan_launch, kernel), POA_NO_PLACE);
    p.pointer[p.count - 1].symbol = symbols[i];
  }
  return put_array(image, plan->launches, count, size, &p);
}

static size_t put_parameters(poa_image *image, const poa_plan *plan) {
  size_t count = (size_t)plan->parameter_count, size = sizeof(poa_plan_parameter);
  array_pointers p = allocate(count, 3);
  for (size_t i = 0; i < count; i++) {
    const poa_plan_parameter *parameter = &plan->parameters[i];
    add(&p, i, size, offsetof(poa_plan_parameter, set), poa_image_put_text(image, parameter->set));
    add(&p, i, size, offsetof(poa_plan_parameter, name),
        poa_image_put_text(image, parameter->name));
    add(&p, i, size, offsetof(poa_plan_parameter, copy_of),
        poa_image_put_text(image, parameter->copy_of));
  }
  return put_array(image, plan->parameters, count, size, &p);
}

static size_t put_arguments(poa_image *image, const poa_plan_input *input) {
  size_t count = (size_t)input->argument_count, size = sizeof(poa_plan_source_argument);
  array_pointers p = allocate(count, 2);
  for (size_t i = 0; i < count; i++) {
    const poa_plan_source_argument *argument = &input->arguments[i];
    add(&p, i, size, offsetof(poa_plan_source_argument, name),
        poa_image_put_text(image, argument->name));
    add(&p, i, size, offsetof(poa_plan_source_argument, text),
        poa_image_put_text(image, argument->text));
  }
  return put_array(image, input->arguments, count, size, &p);
}

static size_t put_inputs(poa_image *image, const poa_plan *plan) {
  size_t count = (size_t)plan->input_count, size = sizeof(poa_plan_input);
  array_pointers p = allocate(count, 3);
  for (size_t i = 0; i < count; i++) {
    const poa_plan_input *input = &plan->inputs[i];
    add(&p, i, size, offsetof(poa_plan_input, name), poa_image_put_text(image, input->name));
    add(&p, i, size, offsetof(poa_plan_input, source), poa_image_put_text(image, input->source));
    add(&p, i, size, offsetof(poa_plan_input, arguments), put_arguments(image, input));
  }
  return put_array(image, plan->inputs, count, size, &p);
}

static size_t put_outputs(poa_image *image, const poa_plan *plan) {
  size_t count = (size_t)plan->output_count, size = sizeof(poa_plan_output);
  array_pointers p = allocate(count, 1);
  for (size_t i = 0; i < count; i++)
    add(&p, i, size, offsetof(poa_plan_output, name),
        poa_image_put_text(image, plan->outputs[i].name));
  return put_array(image, plan->outputs, count, size, &p);
}

static size_t put_plan(poa_image *image, const poa_plan *plan, const char *const *symbols) {
  poa_image_pointer pointers[] = {
      POINTER_AT(poa_plan, entry, poa_image_put_text(image, plan->entry)),
      POINTER_AT(poa_plan, launches, put_launches(image, plan, symbols)),
      POINTER_AT(poa_plan, parameters, put_parameters(image, plan)),
      POINTER_AT(poa_plan, inputs, put_inputs(image, plan)),
      POINTER_AT(poa_plan, outputs, put_outputs(image, plan)),
  };
  return poa_image_put(image, plan, sizeof *plan, pointers, COUNT(pointers));
}

static size_t put_entries(poa_image *image, const poa_program *program,
                          const char *const *const *symbols) {
  size_t count = (size_t)program->entry_count, size = sizeof(poa_program_entry);
  array_pointers p = allocate(count, 2);
  for (size_t i = 0; i < count; i++) {
    const poa_program_entry *entry = &program->entries[i];
    add(&p, i, size, offsetof(poa_program_entry, entry), poa_image_put_text(image, entry->entry));
    add(&p, i, size, offsetof(poa_program_entry, plan), put_plan(image, entry->plan, symbols[i]));
  }
  return put_array(image, program->entries, count, size, &p);
}

static size_t put_variants(poa_image *image, const poa_program *program) {
  size_t count = (size_t)program->variant_count, size = sizeof(poa_program_variant);
  array_pointers p = allocate(count, 2);
  for (size_t i = 0; i < count; i++) {
    const poa_program_variant *variant = &program->variants[i];
    add(&p, i, size, offsetof(poa_program_variant, cpu), poa_image_put_text(image, variant->cpu));
    add(&p, i, size, offsetof(poa_program_variant, features),
        poa_image_put_text(image, variant->features));
  }
  return put_array(image, program->variants, count, size, &p);
}

size_t poa_put_program(poa_image *image, const poa_program *program,
                       const char *const *const *symbols, const char *weights) {
  poa_image_pointer pointers[10 + POA_MAX_ELASTIC] = {
      POINTER_AT(poa_program, version, poa_image_put_text(image, program->version)),
      POINTER_AT(poa_program, model, poa_image_put_text(image, program->model)),
      POINTER_AT(poa_program, model_path, poa_image_put_text(image, program->model_path)),
      POINTER_AT(poa_program, overrides, poa_image_put_text(image, program->overrides)),
      POINTER_AT(poa_program, source, poa_image_put_text(image, program->source)),
      POINTER_AT(poa_program, normalization, poa_image_put_text(image, program->normalization)),
      POINTER_AT(poa_program, variants, put_variants(image, program)),
      POINTER_AT(poa_program, entries, put_entries(image, program, symbols)),
      POINTER_AT(poa_program, weights_file, poa_image_put_text(image, program->weights_file)),
      {offsetof(poa_program, weights), POA_NO_PLACE, weights},
  };
  for (size_t i = 0; i < POA_MAX_ELASTIC; i++) {
    const char *name = i < (size_t)program->lattice.count ? program->lattice.name[i].name : NULL;
    pointers[10 + i] =
        (poa_image_pointer){offsetof(poa_program, lattice) + offsetof(poa_lattice, name) +
                                i * sizeof(poa_elastic) + offsetof(poa_elastic, name),
                            poa_image_put_text(image, name), NULL};
  }
  return poa_image_put(image, program, sizeof *program, pointers, COUNT(pointers));
}
