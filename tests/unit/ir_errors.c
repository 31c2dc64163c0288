/* ir_errors.c: wrong text and wrong graphs give a message that names the place, what was
 * wrong and what was expected. Each row is one mistake. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"

typedef struct mistake {
  const char *text;
  const char *expected; /* a part of the message */
} mistake;

static poa_status read(const char *text, bool verify, poa_error *error) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph;
  poa_status status = poa_graph_parse(arena, "t.ir", text, &graph, error);
  if (!status && verify)
    status = poa_graph_verify(graph, error);
  poa_arena_free(arena);
  return status;
}

static void expect_mistakes(const mistake *rows, size_t count, bool verify) {
  for (size_t i = 0; i < count; i++) {
    poa_error error = {0};
    cr_assert_eq(read(rows[i].text, verify, &error), POA_BAD_INPUT, "accepted: %s", rows[i].text);
    cr_assert(strstr(error.message, rows[i].expected), "expected \"%s\" in:\n%s", rows[i].expected,
              error.message);
  }
}

#define G "graph @f (%x: f32[2,3]) {\n%x = input {name=\"x\"} : f32[2,3]\n"

/* Protects: messages of the lexer and parser: place, expectation, nearest name. */
Test(ir_errors, text) {
  static const mistake rows[] = {
      {"", "t.ir:1:1: expected elastic, select_scale, param, external or graph, found the end"},
      {"grph @f () {}", "did you mean 'graph'?"},
      {"graph @f ()", "t.ir:1:12: expected '{', found the end of the text"},
      {"graph @f () {} x", "expected the end of the text after the graph, found 'x'"},
      {G "%y = exq %x : f32[2,3] }", "t.ir:3:6: unknown op 'exq'; did you mean 'exp'?"},
      {G "%y = exp %z : f32[2,3] }", "t.ir:3:11: unknown value 'z'"},
      {G "%images = exp %imags : f32[2,3] }", "unknown value 'imags'"},
      {G "%images = exp %x : f32[2,3] %y = exp %imags : f32[2,3] }", "did you mean 'images'?"},
      {G "%x = exp %x : f32[2,3] }", "t.ir:3:2: value 'x' is made twice"},
      {G "%y = reduce_sum %x {axis=[1]} : f32[2] }",
       "unknown attribute of reduce_sum 'axis'; did you mean 'axes'?"},
      {G "%y = exp %x {axes=[1]} : f32[2,3] }", "unknown attribute of exp 'axes'; it has none"},
      {G "%y = reduce_sum %x {axes=[1], axes=[1]} : f32[2] }", "given twice"},
      {G "%y = reduce_sum %x {axes=1} : f32[2] }", "expected '[', found '1'"},
      {G "%y = reduce_sum %x : f32[2] }", "lacks its attribute 'axes' (ints)"},
      {G "%y = exp %x : f64[2,3] }", "unknown dtype 'f64'"},
      {G "%y = exp %x : f32[2,3", "expected ',', found the end of the text"},
      {G "%y = exp %x : f32[2,widht] }", "unknown elastic name 'widht'"},
      {"elastic width: 2..4\n" G "%y = exp %x : f32[2,widht] }", "did you mean 'width'?"},
      {"elastic n: 3..8 step 2\ngraph @f () {}", "n never reaches 8 from 3 in steps of 2"},
      {"elastic n: 3..8\nelastic n: 3..8\ngraph @f () {}", "declared twice"},
      {"elastic n: 3..8\ngraph @f at {n=9} () {}", "no point of the lattice"},
      {"elastic n: 3..8\ngraph @f (%x: f32[8/(n-n)/0]) {}", "division by zero"},
      {"graph @f (%x: f32[99999999999999999999]) {}", "too large"},
      {"graph @f (%x: f32[9999999999,9999999999]) {}", "more than 2^48 elements"},
      {"graph @f (%x: f32[-1]) {}", "negative extent"},
      {"graph @f (%x: f32[1,1,1,1,1,1,1,1,1]) {}", "at most 8 axes"},
      {"graph @f (%x: f32[1e999]) {}", "write inf"},
      {"graph @\"f () {}", "t.ir:1:8: this string has no end"},
      {"graph @\"\\q\" () {}", "unknown escape"},
      {"graph @\"\\x00\" () {}", "unknown escape"},
      {"graph @f (;) {}", "this character means nothing here"},
      {"param \"s\" \"w\": f32[2] = trunc_norm(1)\ngraph @f () {}", "did you mean 'trunc_normal'?"},
      {"external \"e\" = \"e\"(tensr 0)\ngraph @f () {}", "expected tensor, int"},
      {G "kernel -1 { } }", "a kernel's number between 0 and"},
      {G "%y = exp %x : f32[2,3] in %q+0 [3,1] }", "unknown value 'q'"},
      {G "%y = exp %x : f32[2,3] in self+0 [3] }", "1 strides for a value of 2 axes"},
  };
  expect_mistakes(rows, sizeof rows / sizeof *rows, false);
}

/* Protects: the caret stands under the mistake, also in a long line with odd characters. */
Test(ir_errors, caret) {
  poa_error error = {0};
  read(G "  %y = exq %x : f32[2,3]\n}", false, &error);
  cr_assert_str_eq(error.message, "t.ir:3:8: unknown op 'exq'; did you mean 'exp'?\n"
                                  "    %y = exq %x : f32[2,3]\n"
                                  "         ^");
  char line[4000] = "graph @f () { \001";
  memset(line + 15, ' ', 3000);
  strcpy(line + 3015, "!");
  error = (poa_error){0};
  read(line, false, &error);
  cr_assert(strstr(error.message, "t.ir:1:15: ") && strstr(error.message, "{ ?"), "%s",
            error.message);
}

/* Protects: nesting and length of extents are bounded, so that no text exhausts the stack. */
Test(ir_errors, depth) {
  enum { LENGTH = 200000 };
  char *text = calloc(LENGTH + 100, 1);
  strcpy(text, "graph @f (%x: f32[");
  memset(text + strlen(text), '(', LENGTH);
  poa_error error = {0};
  cr_assert_eq(read(text, false, &error), POA_BAD_INPUT);
  cr_assert(strstr(error.message, "nested too deeply"), "%s", error.message);
  strcpy(text, "elastic n: 1..2\ngraph @f (%x: f32[n");
  for (size_t i = strlen(text), end = LENGTH; i + 2 < end; i += 2)
    memcpy(text + i, "+n", 2);
  error = (poa_error){0};
  cr_assert_eq(read(text, false, &error), POA_BAD_INPUT);
  cr_assert(strstr(error.message, "too long"), "%s", error.message);
  free(text);
}

#define S                                                                                          \
  "elastic width: 384..1024 step 64\n"                                                             \
  "graph @f (%x: f32[4,width], %w: f32[1024,8], %i: i32[4], %b: bool[4,width]) {\n"                \
  "%x = input {name=\"x\"} : f32[4,width]\n%w = input {name=\"w\"} : f32[1024,8]\n"                \
  "%i = input {name=\"i\"} : i32[4]\n%b = input {name=\"b\"} : bool[4,width]\n"

/* Protects: shape rules refuse with both shapes, symbolic extents as they were written. */
Test(ir_errors, shapes) {
  static const mistake rows[] = {
      {S "%y = add %x, %w : f32[4,width] }", "add: operands differ: f32[4,width] and f32[1024,8]"},
      {S "%y = add %x : f32[4,width] }", "add takes 2 operands, not 1"},
      {S "%y = exp %i : i32[4] }", "exp: takes f32, not i32[4]"},
      {S "%y = add %b, %b : bool[4,width] }", "add: takes f32 or i32, not bool[4,width]"},
      {S "%y = and %x, %x : f32[4,width] }", "and: takes bool"},
      {S "%y = dot %x, %w : f32[4,8] }",
       "dot: inner extents differ: axis 1 of f32[4,width] and axis 0 of f32[1024,8]"},
      {S "%y = dot %x, %x {tb=1, bf16=2} : f32[4,4] }", "dot: has bf16=2, which is 0 or 1"},
      {S "%y = exp %x : f32[4,512] }",
       "exp: its result is f32[4,width] by its shape rule, but f32[4,512] is declared"},
      {S "%y = reshape %x : f32[4,width/64,32] }", "hold different numbers of elements"},
      {S "%y = transpose %x {perm=[0,0]} : f32[4,4] }", "no permutation of the 2 axes"},
      {S "%y = transpose %x {perm=[0,99]} : f32[4,4] }", "no permutation of the 2 axes"},
      {S "%y = broadcast %x {axes=[1,0]} : f32[4,width] }", "axes must increase"},
      {S "%y = broadcast %x {axes=[0,1]} : f32[4,8] }", "axis 1 of f32[4,width] does not fit"},
      {S "%y = slice %w {start=[0,0], limit=[width+64,8]} : f32[width+64,8] }",
       "start and limit [0,width+64] of axis 0 are out of f32[1024,8]"},
      {S "%y = slice %w {start=[2,0], limit=[1,8]} : f32[1,8] }", "are out of"},
      {S "%y = concat %x, %w {axis=0} : f32[4,width] }", "differ in more than axis 0"},
      {S "%y = concat %x {axis=2} : f32[4,width] }", "axis=2 is no axis of f32[4,width]"},
      {S "%y = reduce_sum %x {axes=[0,2]} : f32[] }", "axis 2 does not exist in f32[4,width]"},
      {S "%y = gather %x, %w : f32[4,width] }", "the rows are f32[1024,8], expected i32[k]"},
      {S "%y = scatter_add %x, %i, %w : f32[4,width] }", "expected f32[4,width]"},
      {S "%y = accumulate %w, %w {start=[1,0]} : f32[1024,8] }", "reaches out of f32[1024,8]"},
      {S "%y = select %x, %x, %x : f32[4,width] }", "select: takes bool, not f32[4,width]"},
      {S "%y = select %b, %x, %w : f32[4,width] }", "its two choices differ"},
      {S "%y = gradient %x, %x : f32[4,width] }", "differentiates a scalar"},
      {S "%y = assign %x, %x : f32[4,width] }", "its first operand is a parameter"},
      {S "%y = keep %x, %x {elastic=\"depth\", index=0, of=2} : f32[4,width] }",
       "no elastic name 'depth'"},
      {S "%y = keep %x, %x {elastic=\"width\", index=2, of=2} : f32[4,width] }", "not below of=2"},
      {S "%y = iota {axis=1} : i32[4] }", "axis=1 is no axis"},
  };
  expect_mistakes(rows, sizeof rows / sizeof *rows, false);
}

#define K                                                                                          \
  "graph @f (%x: f32[4,8]) peak 256 {\n"                                                           \
  "%x = input {name=\"x\"} : f32[4,8] in self+0 [8,1] at 0\n"

/* Protects: the verifier's rules on tables, names, kernels, storage and places. */
Test(ir_errors, verifier) {
  static const mistake rows[] = {
      {"param \"s\" \"w\": f32[2] as [3] = constant(0)\ngraph @f () {}", "the same elements"},
      {"param \"s\" \"w\": f32[2] = copy(\"t\")\ngraph @f () {}", "copies from set 't'"},
      {"param \"s\" \"w\": f32[2] = constant(0)\nparam \"s\" \"w\": f32[2] = constant(0)\n"
       "graph @f () {}",
       "parameter w of s exists twice"},
      {"graph @f () {\n%x = input {name=\"x\"} : f32[2] }", "the graph has no input 'x'"},
      {"graph @f (%x: f32[3]) {\n%x = input {name=\"x\"} : f32[2] }", "input x is f32[3]"},
      {"graph @f () {\n%p = parameter {set=\"s\", name=\"w\"} : f32[2] }", "no parameter 'w'"},
      {"graph @f () {\n%c = constant {value=1} : f32[2]\n"
       "%o = output %c {kind=\"log\", name=\"c\"} : f32[2] }",
       "result, report or probe"},
      {"external \"e\" = \"e\"(tensor 1)\ngraph @f () {\n%c = constant {value=1} : f32[2]\n"
       "%y = call %c {external=\"e\"} : f32[2] }",
       "argument 0 of e is operand 1, but there are 1 operands"},
      {"elastic n: 1..2\ngraph @f at {n=1} () {\n%c = constant {value=1} : f32[n] }",
       "symbolic in a specialized graph"},
      {"elastic n: 1..2\ngraph @f at {n=1} () {\n"
       "%c = ratio {numerator=1, denominator=n} : f32[] }",
       "ratio is left in a specialized graph"},
      {G "kernel 1 { %y = exp %x : f32[2,3] } }", "it is in kernel 1, but kernel -1"},
      {G "kernel 0 { %y = exp %x : f32[2,3] }\n%z = transpose %y {perm=[1,0]} : f32[3,2]\n"
         "kernel 0 { %w = exp %x : f32[2,3] } }",
       "their nodes stand together"},
      {G "kernel 0 { %y = exp %x : f32[2,3] }\n%z = exp %y : f32[2,3] }", "in no kernel"},
      {K "kernel 0 { %y = exp %x : f32[4,8] }\n%o = output %y {kind=\"result\", name=\"y\"} : "
         "f32[4,8] }",
       "it reads %1, which is made outside its kernel and not stored"},
      {K "%y = transpose %x {perm=[1,0]} : f32[8,4] in %x+0 [8,1] }", "touches elements"},
      {K "%y = transpose %x {perm=[1,0]} : f32[8,4] in %x+0 [4,1] }",
       "does not read the elements of %0"},
      {K "%y = slice %x {start=[1,2], limit=[3,4]} : f32[2,2] in %x+9 [8,1] }",
       "does not read the elements"},
      {K "%y = broadcast %x {axes=[1,2]} : f32[2,4,8] in %x+0 [1,8,1] }", "touches elements"},
      {K "%t = transpose %x {perm=[1,0]} : f32[8,4] in %x+0 [1,8]\n"
         "%y = reshape %t : f32[32] in %x+0 [1] }",
       "does not read the elements"},
      {K "kernel 0 { %y = exp %x : f32[4,8] in self+0 [8,1] }\n}", "has no place"},
      {K "kernel 0 { %y = exp %x : f32[4,8] in self+0 [8,1] at 192 }\n}",
       "ends at byte 320, behind the arena's 256"},
      {K "kernel 0 { %y = exp %x : f32[4,8] in self+0 [9223372036854775807,1] at 0 }\n}",
       "beyond any buffer"},
      {K "%y = reshape %x : f32[32] in %x+0 [1]\n%z = reshape %y : f32[4,8] in %y+0 [8,1] }",
       "its root does not own a buffer"},
      {K "kernel 0 { %y = is_finite %x : bool[4,8] in %x+0 [8,1] } }", "its root holds f32"},
  };
  expect_mistakes(rows, sizeof rows / sizeof *rows, true);
}

/* Protects: what the verifier must accept: views by strides, axes of extent 1, reshapes that
 * split and join axes, splat constants, and values joined in place. */
Test(ir_errors, verifier_accepts) {
  static const char *const texts[] = {
      K "%t = transpose %x {perm=[1,0]} : f32[8,4] in %x+0 [1,8]\n"
        "%r = reshape %t : f32[2,1,4,4] in %x+0 [4,77,1,8]\n"
        "%s = slice %r {start=[0,0,1,0], limit=[2,1,3,4]} : f32[2,1,2,4] in %x+1 [4,0,1,8]\n"
        "%b = broadcast %s {axes=[0,1,2,4]} : f32[2,1,2,5,4] in %x+1 [4,0,1,0,8] }",
      K "%c = constant {value=2} : f32[8]\n%b = broadcast %c {axes=[1]} : f32[4,8]\n"
        "kernel 0 { %y = mul %x, %b : f32[4,8] in self+0 [1,4] at 128 }\n"
        "%o = output %y {kind=\"result\", name=\"y\"} : f32[4,8] in %y+0 [1,4] }",
      K "kernel 0 { %y = slice %x {start=[0,0], limit=[2,8]} : f32[2,8] in %z+0 [8,1] }\n"
        "%z = concat %y, %y {axis=0} : f32[4,8] in self+0 [8,1] at 128 }",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    poa_error error = {0};
    cr_assert_eq(read(texts[i], true, &error), POA_OK, "%s", error.message);
  }
}

/* Protects: no text crashes: every character of a rich graph deleted, doubled or replaced,
 * and every prefix of it. */
Test(ir_errors, mutations) {
  const char *text =
      "elastic n: 2..8 step 2\nselect_scale 3\nparam \"s\" \"w\": f32[4,8] as [32] = normal(0.02)\n"
      "external \"e\" = \"f\"(tensor 0, double -1e-3) gradients [none]\n"
      "graph @f at {n=4} (%x: f32[4,8] = crops(a=1, b=\"c\") use 1 loc \"m\":1:2) peak 512 {\n"
      "  %0 = input {name=\"x\"} : f32[4,8] in self+0 [8,1] at 0\n"
      "  kernel 0 {\n    %1 = dot %0, %0 {tb=1, alpha=0.5} : f32[4,4] in %3+0 [4,1]\n  }\n"
      "  %2 = slice %1 {start=[0,0], limit=[4/2,(1+3)%5]} : f32[2,4] in %3+0 [4,1]\n"
      "  %3 = concat %1, %1 {axis=0} : f32[8,4] in self+0 [4,1] at 128\n}\n";
  const char replacements[] = "\"9-%[]{},:a\001\xff";
  size_t length = strlen(text);
  char *mutant = malloc(length + 2);
  for (size_t at = 0; at < length; at++) {
    for (size_t r = 0; r < sizeof replacements; r++) {
      memcpy(mutant, text, length + 1);
      mutant[at] = replacements[r];
      read(mutant, true, &(poa_error){0});
    }
    memcpy(mutant, text, at);
    memcpy(mutant + at, text + at + 1, length - at);
    read(mutant, true, &(poa_error){0});
    memcpy(mutant, text, at + 1);
    memcpy(mutant + at + 1, text + at, length - at + 1);
    read(mutant, true, &(poa_error){0});
  }
  free(mutant);
}
