/* print.c: a graph as text, complete and stable: what is printed reads back (parse.c) as
 * the same graph, at every stage of the compiler. docs/ir.md describes the form.
 *
 *   graph @step at {width=256} (%x: f32[4,256]) peak 8192 {
 *     %0 = input {name="x"} : f32[4,256] in self+0 [256,1] at 0
 *     kernel 0 {
 *       %1 = exp %0 : f32[4,256] in self+0 [256,1] at 4096
 *     }
 *   } */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/internal.h"

static void print_string(const char *text, FILE *out) {
  fputc('"', out);
  for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
    if (*c == '"' || *c == '\\')
      fprintf(out, "\\%c", *c);
    else if (*c == '\n')
      fputs("\\n", out);
    else if (*c < 0x20 || *c == 0x7f)
      fprintf(out, "\\x%02x", *c);
    else
      fputc(*c, out);
  }
  fputc('"', out);
}

static bool is_identifier(const char *text) {
  if (!isalpha((unsigned char)*text) && *text != '_')
    return false;
  while (isalnum((unsigned char)*text) || *text == '_')
    text++;
  return !*text;
}

/* Bare where it is an identifier, else quoted. */
static void print_name(const char *name, FILE *out) {
  if (is_identifier(name))
    fputs(name, out);
  else
    print_string(name, out);
}

/* The fewest digits that read back to the same double. */
static void print_float(double value, FILE *out) {
  char text[40];
  if (isnan(value)) {
    fputs("nan", out);
    return;
  }
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value)
      break;
  }
  fputs(text, out);
}

static void print_extent(const poa_graph *graph, poa_extent extent, FILE *out) {
  char small[64];
  int length = poa_extent_print(&graph->lattice, extent, small, sizeof small);
  if ((size_t)length < sizeof small) {
    fputs(small, out);
    return;
  }
  char *large = malloc((size_t)length + 1);
  if (!large)
    return;
  poa_extent_print(&graph->lattice, extent, large, (size_t)length + 1);
  fputs(large, out);
  free(large);
}

static void print_shape(const poa_graph *graph, const poa_type *type, FILE *out) {
  fputc('[', out);
  for (int i = 0; i < type->rank; i++) {
    fputs(i ? "," : "", out);
    print_extent(graph, type->dim[i], out);
  }
  fputc(']', out);
}

static void print_type(const poa_graph *graph, const poa_type *type, FILE *out) {
  fputs(poa_dtype_name(type->dtype), out);
  print_shape(graph, type, out);
}

static void print_location(poa_location location, FILE *out) {
  if (!location.file)
    return;
  fputs(" loc ", out);
  print_string(location.file, out);
  fprintf(out, ":%d:%d", location.line, location.column);
  if (!location.branch)
    return;
  fputs(" of ", out);
  print_string(location.branch, out);
}

static void print_lattice(const poa_lattice *lattice, FILE *out) {
  for (int i = 0; i < lattice->count; i++) {
    const poa_elastic *name = &lattice->name[i];
    fprintf(out, "elastic %s: %" PRId64 "..%" PRId64 " step %" PRId64 "%s", name->name, name->min,
            name->max, name->step, name->uniform ? " uniform" : "");
    if (name->group)
      fprintf(out, " group %d", name->group);
    fputc('\n', out);
  }
  if (lattice->select_scale == 0)
    return;
  fputs("select_scale ", out);
  print_float(lattice->select_scale, out);
  fputc('\n', out);
}

static void print_parameter(const poa_graph *graph, const poa_parameter *p, FILE *out) {
  fputs("param ", out);
  print_string(p->set, out);
  fputc(' ', out);
  print_string(p->name, out);
  fputs(": ", out);
  print_type(graph, &p->type, out);
  if (!poa_type_equal(&graph->lattice, &p->type, &p->file_type)) {
    fputs(" as ", out);
    print_shape(graph, &p->file_type, out);
  }
  for (int i = 0; p->file_axes && i < p->type.rank; i++)
    fprintf(out, "%s%" PRId64 "%s", i ? "," : " by [", p->file_axes[i],
            i + 1 < p->type.rank ? "" : "]");
  if (p->copy_of) {
    fputs(" = copy(", out);
    print_string(p->copy_of, out);
  } else {
    fprintf(out, " = %s(", p->initializer ? p->initializer : "constant");
    print_float(p->argument, out);
  }
  fputc(')', out);
  print_location(p->location, out);
  fputc('\n', out);
}

static void print_c_argument(const poa_c_argument *a, FILE *out) {
  static const char *const kinds[] = {
      [POA_C_TENSOR] = "tensor", [POA_C_INT] = "int",       [POA_C_INT64] = "int64",
      [POA_C_FLOAT] = "float",   [POA_C_DOUBLE] = "double",
  };
  fprintf(out, "%s ", kinds[a->kind]);
  if (a->kind == POA_C_FLOAT || a->kind == POA_C_DOUBLE)
    print_float(a->real, out);
  else if (a->kind == POA_C_TENSOR && a->integer < 0)
    fputs("result", out);
  else
    fprintf(out, "%" PRId64, a->integer);
}

static void print_external(const poa_external *e, FILE *out) {
  fputs("external ", out);
  print_string(e->name, out);
  fputs(" = ", out);
  print_string(e->symbol, out);
  fputc('(', out);
  for (int i = 0; i < e->argument_count; i++) {
    fputs(i ? ", " : "", out);
    print_c_argument(&e->arguments[i], out);
  }
  fputc(')', out);
  for (int i = 0; i < e->operand_count; i++) {
    fputs(i ? ", " : " gradients [", out);
    if (e->gradients && e->gradients[i])
      print_string(e->gradients[i], out);
    else
      fputs("none", out);
  }
  fputs(e->operand_count ? "]\n" : "\n", out);
}

static void print_source(const poa_input *input, FILE *out) {
  fputs(" = ", out);
  print_name(input->source, out);
  fputc('(', out);
  for (int i = 0; i < input->argument_count; i++) {
    const poa_source_argument *a = &input->arguments[i];
    fputs(i ? ", " : "", out);
    print_name(a->name, out);
    fputc('=', out);
    if (a->text)
      print_string(a->text, out);
    else
      print_float(a->value, out);
  }
  fputc(')', out);
}

static void print_input(const poa_graph *graph, const poa_input *input, FILE *out) {
  fputc('%', out);
  print_name(input->name, out);
  fputs(": ", out);
  print_type(graph, &input->type, out);
  if (input->source && *input->source)
    print_source(input, out);
  if (input->use)
    fprintf(out, " use %d", input->use);
  print_location(input->location, out);
}

static void print_ints(const int64_t *values, int count, FILE *out) {
  fputc('[', out);
  for (int i = 0; i < count; i++)
    fprintf(out, "%s%" PRId64, i ? "," : "", values[i]);
  fputc(']', out);
}

static void print_attribute(const poa_graph *graph, const poa_attribute *a, FILE *out) {
  fprintf(out, "%s=", a->key);
  switch (a->kind) {
  case POA_ATTRIBUTE_INT:
    fprintf(out, "%" PRId64, a->integer);
    break;
  case POA_ATTRIBUTE_FLOAT:
    print_float(a->real, out);
    break;
  case POA_ATTRIBUTE_STRING:
    print_string(a->text, out);
    break;
  case POA_ATTRIBUTE_INTS:
    print_ints(a->integers, a->count, out);
    break;
  case POA_ATTRIBUTE_EXPR:
    print_extent(graph, a->extents[0], out);
    break;
  case POA_ATTRIBUTE_EXTENTS: {
    poa_type shape = {.rank = a->count};
    for (int i = 0; i < a->count; i++)
      shape.dim[i] = a->extents[i];
    print_shape(graph, &shape, out);
    break;
  }
  }
}

static void print_storage(const poa_node *node, poa_value value, FILE *out) {
  const poa_storage *s = &node->storage;
  if (s->root == POA_NO_VALUE)
    return;
  if (s->root == value)
    fputs(" in self", out);
  else
    fprintf(out, " in %%%" PRIu32, s->root);
  fprintf(out, "%s%" PRId64 " ", s->offset < 0 ? "" : "+", s->offset);
  print_ints(s->stride, node->type.rank, out);
  if (s->place >= 0)
    fprintf(out, " at %" PRId64, s->place);
}

void poa_node_print(const poa_graph *graph, poa_value value, FILE *out) {
  const poa_node *node = &graph->nodes[value];
  fprintf(out, "%%%" PRIu32 " = %s", value, poa_op_table(node->op)->name);
  for (int i = 0; i < node->operand_count; i++)
    fprintf(out, "%s%%%" PRIu32, i ? ", " : " ", node->operands[i]);
  for (int i = 0; i < node->attribute_count; i++) {
    fputs(i ? ", " : " {", out);
    print_attribute(graph, &node->attributes[i], out);
  }
  fputs(node->attribute_count ? "} : " : " : ", out);
  print_type(graph, &node->type, out);
  print_storage(node, value, out);
  print_location(node->location, out);
}

static void print_nodes(const poa_graph *graph, FILE *out) {
  int open = -1;
  for (poa_value v = 0; v < graph->node_count; v++) {
    int kernel = graph->nodes[v].kernel;
    if (open >= 0 && kernel != open)
      fputs("  }\n", out);
    if (kernel >= 0 && kernel != open)
      fprintf(out, "  kernel %d {\n", kernel);
    open = kernel;
    fputs(kernel >= 0 ? "    " : "  ", out);
    poa_node_print(graph, v, out);
    fputc('\n', out);
  }
  if (open >= 0)
    fputs("  }\n", out);
}

static void print_point(const poa_graph *graph, FILE *out) {
  fputs(" at {", out);
  for (int i = 0; i < graph->lattice.count; i++)
    fprintf(out, "%s%s=%" PRId64, i ? ", " : "", graph->lattice.name[i].name,
            graph->point.value[i]);
  fputc('}', out);
}

void poa_graph_print(const poa_graph *graph, FILE *out) {
  print_lattice(&graph->lattice, out);
  for (int i = 0; i < graph->parameter_count; i++)
    print_parameter(graph, &graph->parameters[i], out);
  for (int i = 0; i < graph->external_count; i++)
    print_external(&graph->externals[i], out);
  fputs("graph @", out);
  print_name(graph->name, out);
  if (graph->specialized)
    print_point(graph, out);
  fputs(" (", out);
  for (int i = 0; i < graph->input_count; i++) {
    fputs(i ? ", " : "", out);
    print_input(graph, &graph->inputs[i], out);
  }
  fputc(')', out);
  if (graph->arena_bytes >= 0)
    fprintf(out, " peak %" PRId64, graph->arena_bytes);
  fputs(" {\n", out);
  print_nodes(graph, out);
  fputs("}\n", out);
}
