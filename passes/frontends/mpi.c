// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// MPI on memrefs, and what stands around it where tensors become buffers and back. What
// convert-shard-to-mpi makes of an all-reduce over one axis of a grid of 2 x 4 is
//   %comm = mpi.comm_split(%world, <rank / 4 % 2>, <rank % 4>)
//   mpi.allreduce(%buffer, %buffer, MPI_SUM, %comm)
// The ranks of %comm are found by working out colour and key for every rank of MPI_COMM_WORLD.
// Which tensors the buffers hold is fuse/buffers.c's business: without it, the op is refused.
#include <stdlib.h>
#include <string.h>

#include "frontends/primitive.h"
#include "mlir-c/AffineExpr.h"
#include "mlir-c/AffineMap.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

enum { MAX_WORLD = 4096, MAX_DEPTH = 24, STEPS_A_RANK = 256 };

const char fiar_mpi_on_buffers[] =
    "it works on buffers that are no tensors': run fiar-fuse before bufferization";

static const char world_name[] = "MPI_COMM_WORLD";

// ---- integers as functions of the rank ----

typedef struct Ranks {
  int64_t world, rank;
  int64_t steps;   // that may still be taken
  bool from_rank;  // some mpi.comm_rank was met
} Ranks;

static bool is_world(MlirValue comm) {
  return mlirValueIsAOpResult(comm) &&
         fiarStringEqual(fiarOpName(mlirOpResultGetOwner(comm)), "mpi.comm_world");
}

static bool add(int64_t a, int64_t b, int64_t* out) {
  *out = a + b;
  return true;
}
static bool subtract(int64_t a, int64_t b, int64_t* out) {
  *out = a - b;
  return true;
}
static bool multiply(int64_t a, int64_t b, int64_t* out) {
  *out = a * b;
  return true;
}
// Where no operand is negative all divisions are one.
static bool divide(int64_t a, int64_t b, int64_t* out) {
  *out = b > 0 ? a / b : 0;
  return a >= 0 && b > 0;
}
static bool remainder_of(int64_t a, int64_t b, int64_t* out) {
  *out = b > 0 ? a % b : 0;
  return a >= 0 && b > 0;
}

typedef struct IntegerRow {
  MlirStringRef name;
  bool (*compute)(int64_t a, int64_t b, int64_t* out);  // NULL: the first operand's value
} IntegerRow;

static const IntegerRow integer_rows[] = {
    {FIAR_TEXT("arith.addi"), add},           {FIAR_TEXT("arith.subi"), subtract},
    {FIAR_TEXT("arith.muli"), multiply},      {FIAR_TEXT("arith.divsi"), divide},
    {FIAR_TEXT("arith.divui"), divide},       {FIAR_TEXT("arith.remsi"), remainder_of},
    {FIAR_TEXT("arith.remui"), remainder_of}, {FIAR_TEXT("arith.index_cast"), NULL},
    {FIAR_TEXT("arith.index_castui"), NULL},  {FIAR_TEXT("arith.extsi"), NULL},
    {FIAR_TEXT("arith.extui"), NULL},         {FIAR_TEXT("arith.trunci"), NULL},
};

// Every value stays so small that no type of the source wraps around.
static bool in_range(int64_t number) {
  return number > INT32_MIN && number <= INT32_MAX;
}

static bool integer_of(Ranks* ranks, MlirValue value, int depth, int64_t* out);

static bool affine_of(Ranks* ranks, MlirOperation op, intptr_t n_dims, MlirAffineExpr expr,
                      int depth, int64_t* out) {
  static const struct {
    bool (*is)(MlirAffineExpr);
    bool (*compute)(int64_t, int64_t, int64_t*);
  } kinds[] = {{mlirAffineExprIsAAdd, add},
               {mlirAffineExprIsAMul, multiply},
               {mlirAffineExprIsAMod, remainder_of},
               {mlirAffineExprIsAFloorDiv, divide}};
  if (depth == MAX_DEPTH || --ranks->steps < 0) {
    return false;
  }
  if (mlirAffineExprIsAConstant(expr)) {
    *out = mlirAffineConstantExprGetValue(expr);
    return in_range(*out);
  }
  if (mlirAffineExprIsADim(expr) || mlirAffineExprIsASymbol(expr)) {
    intptr_t at = mlirAffineExprIsADim(expr) ? mlirAffineDimExprGetPosition(expr)
                                             : n_dims + mlirAffineSymbolExprGetPosition(expr);
    return at < mlirOperationGetNumOperands(op) &&
           integer_of(ranks, mlirOperationGetOperand(op, at), depth + 1, out);
  }
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    int64_t a, b;
    if (kinds[i].is(expr)) {
      return affine_of(ranks, op, n_dims, mlirAffineBinaryOpExprGetLHS(expr), depth + 1, &a) &&
             affine_of(ranks, op, n_dims, mlirAffineBinaryOpExprGetRHS(expr), depth + 1, &b) &&
             kinds[i].compute(a, b, out) && in_range(*out);
    }
  }
  return false;
}

static bool affine_apply(Ranks* ranks, MlirOperation op, int depth, int64_t* out) {
  MlirAttribute attribute = fiarOpAttribute(op, "map");
  if (mlirAttributeIsNull(attribute) || !mlirAttributeIsAAffineMap(attribute)) {
    return false;
  }
  MlirAffineMap map = mlirAffineMapAttrGetValue(attribute);
  return mlirAffineMapGetNumResults(map) == 1 &&
         affine_of(ranks, op, mlirAffineMapGetNumDims(map), mlirAffineMapGetResult(map, 0), depth,
                   out);
}

static bool arithmetic(Ranks* ranks, MlirOperation op, int depth, int64_t* out) {
  MlirStringRef name = fiarOpName(op);
  for (size_t i = 0; i < sizeof integer_rows / sizeof *integer_rows; ++i) {
    if (!fiarTextEqual(name, integer_rows[i].name)) {
      continue;
    }
    int64_t a, b;
    if (mlirOperationGetNumOperands(op) != (integer_rows[i].compute == NULL ? 1 : 2) ||
        !integer_of(ranks, mlirOperationGetOperand(op, 0), depth + 1, &a)) {
      return false;
    }
    if (integer_rows[i].compute == NULL) {
      *out = a;
      return true;
    }
    return integer_of(ranks, mlirOperationGetOperand(op, 1), depth + 1, &b) &&
           integer_rows[i].compute(a, b, out) && in_range(*out);
  }
  return false;
}

// The value on one rank. False: it depends on something else.
static bool integer_of(Ranks* ranks, MlirValue value, int depth, int64_t* out) {
  if (depth == MAX_DEPTH || --ranks->steps < 0 || !mlirValueIsAOpResult(value)) {
    return false;
  }
  MlirOperation op = mlirOpResultGetOwner(value);
  MlirStringRef name = fiarOpName(op);
  bool is_rank = fiarStringEqual(name, "mpi.comm_rank");
  if (is_rank || fiarStringEqual(name, "mpi.comm_size")) {
    ranks->from_rank |= is_rank;
    *out = is_rank ? ranks->rank : ranks->world;
    // The status comes before the number.
    return mlirOperationGetNumOperands(op) == 1 && is_world(mlirOperationGetOperand(op, 0)) &&
           mlirOpResultGetResultNumber(value) + 1 == mlirOperationGetNumResults(op);
  }
  if (fiarStringEqual(name, "arith.constant")) {
    return fiarReadInts(fiarOpAttribute(op, "value"), out, 1) == 1 && in_range(*out);
  }
  if (fiarStringEqual(name, "affine.apply")) {
    return affine_apply(ranks, op, depth, out);
  }
  return arithmetic(ranks, op, depth, out);
}

// ---- communicators ----

// MPI_COMM_WORLD is what the module's grid of devices is laid over; 0 where the module does not
// say, or says two things.
static int64_t grid_devices(FiarView* view) {
  int64_t world = 0;
  for (size_t i = 0; i < view->n_symbols; ++i) {
    int64_t sizes[FIAR_MAX_RANK], devices = 1;
    MlirOperation op = view->symbol_ops[i];
    if (!fiarStringEqual(fiarOpName(op), "shard.grid")) {
      continue;
    }
    int rank = fiarReadInts(fiarOpAttribute(op, "shape"), sizes, FIAR_MAX_RANK);
    for (int k = 0; k < rank; ++k) {
      devices = sizes[k] < 1 || sizes[k] > MAX_WORLD / devices ? 0 : devices * sizes[k];
      if (devices == 0) {
        return 0;
      }
    }
    if (rank < 0 || (world != 0 && world != devices)) {
      return 0;
    }
    world = devices;
  }
  return world;
}

static int64_t world_size(FiarView* view) {
  FiarGroups groups;
  char text[224];
  MlirAttribute name = mlirStringAttrGet(mlirOperationGetContext(view->module),
                                         mlirStringRefCreateFromCString(world_name));
  if (!fiarGroupsExpand(view->module, name, &groups, text, sizeof text)) {
    return grid_devices(view);
  }
  int64_t world = groups.count == 1 && groups.size <= MAX_WORLD ? groups.size : 0;
  fiarGroupsFree(&groups);
  return world;
}

typedef struct Member {
  int64_t color, key, rank;
} Member;

static int by_group(const void* a, const void* b) {
  const Member *x = a, *y = b;
  if (x->color != y->color) {
    return x->color < y->color ? -1 : 1;
  }
  if (x->key != y->key) {
    return x->key < y->key ? -1 : 1;
  }
  return x->rank < y->rank ? -1 : x->rank > y->rank;
}

// The members, sorted, as a matrix of ids; null where the groups are of unequal size.
static MlirAttribute groups_of(MlirContext context, Member* members, int64_t world) {
  qsort(members, (size_t)world, sizeof *members, by_group);
  int64_t size = 1;
  while (size < world && members[size].color == members[0].color) {
    ++size;
  }
  int64_t* ids = malloc((size_t)world * sizeof *ids);
  bool equal = ids != NULL && world % size == 0;
  for (int64_t i = 0; equal && i < world; ++i) {
    ids[i] = members[i].rank;
    bool starts = i > 0 && members[i].color != members[i - 1].color;
    equal = i == 0 || starts == (i % size == 0);
  }
  MlirAttribute groups = mlirAttributeGetNull();
  if (equal) {
    int64_t shape[] = {world / size, size};
    MlirType type =
        mlirRankedTensorTypeGet(2, shape, mlirIntegerTypeGet(context, 64), mlirAttributeGetNull());
    groups = mlirDenseElementsAttrInt64Get(type, world, ids);
  }
  free(ids);
  return groups;
}

static const char* read_split(MlirOperation split, int64_t world, MlirAttribute* out_groups) {
  Member* members = malloc((size_t)world * sizeof *members);
  Ranks ranks = {.world = world, .steps = STEPS_A_RANK * world};
  bool known = members != NULL;
  for (int64_t rank = 0; known && rank < world; ++rank) {
    ranks.rank = members[rank].rank = rank;
    known = integer_of(&ranks, mlirOperationGetOperand(split, 1), 0, &members[rank].color) &&
            integer_of(&ranks, mlirOperationGetOperand(split, 2), 0, &members[rank].key) &&
            members[rank].color >= 0;
  }
  const char* refusal = NULL;
  if (!known) {
    refusal = "its communicator's colour or key is no function of the rank that can be followed";
  } else if (!ranks.from_rank) {
    refusal =
        "neither colour nor key of its communicator comes from mpi.comm_rank: the module may be "
        "one rank's alone";
  } else {
    *out_groups = groups_of(mlirOperationGetContext(split), members, world);
    refusal = mlirAttributeIsNull(*out_groups) ? "its communicators are of unequal size" : NULL;
  }
  free(members);
  return refusal;
}

// Sets mode and groups. Gives the reason why they are not known, or NULL.
static const char* read_comm(FiarView* view, MlirValue comm, FiarPrimitive* p) {
  MlirContext context = mlirOperationGetContext(p->op);
  if (view->mpi_world == 0) {
    int64_t world = world_size(view);
    view->mpi_world = world > 0 ? world : -1;
  }
  if (is_world(comm)) {
    p->mode = FIAR_GROUPS_PROCESS;
    p->groups = mlirStringAttrGet(context, mlirStringRefCreateFromCString(world_name));
    p->world = view->mpi_world > 0 ? view->mpi_world : 0;
    return NULL;
  }
  MlirOperation op =
      mlirValueIsAOpResult(comm) ? mlirOpResultGetOwner(comm) : (MlirOperation){NULL};
  if (!fiarIsOpOf(op, "mpi.comm_split", 3, 1) || !is_world(mlirOperationGetOperand(op, 0))) {
    return "its communicator is neither MPI_COMM_WORLD nor a split of it";
  }
  if (view->mpi_world < 0) {
    return "how many ranks MPI_COMM_WORLD has is not known: the module has no one shard.grid, and "
           "its attribute fiar.groups does not say";
  }
  return read_split(op, view->mpi_world, &p->groups);
}

// ---- ops ----

static void read_all_reduce(FiarView* view, FiarPrimitive* p) {
  static const char* const reductions[] = {
      "MPI_OP_NULL", "MPI_MAX", "MPI_MIN",  "sum",      "MPI_PROD",   "MPI_LAND",   "MPI_BAND",
      "MPI_LOR",     "MPI_BOR", "MPI_LXOR", "MPI_BXOR", "MPI_MINLOC", "MPI_MAXLOC", "MPI_REPLACE"};
  const int count = sizeof reductions / sizeof *reductions;
  double number = -1;
  p->mode = FIAR_GROUPS_FLATTENED;
  p->groups = mlirAttributeGetNull();
  bool known =
      fiarReadNumber(fiarOpAttribute(p->op, "op"), &number) && number >= 0 && number < count;
  p->reduction = known ? reductions[(int)number] : "another reduction";
  if (strcmp(p->reduction, "sum") == 0 && mlirOperationGetNumOperands(p->op) == 3) {
    p->refusal = read_comm(view, mlirOperationGetOperand(p->op, 2), p);
  }
  if (p->refusal == NULL) {
    p->refusal = fiar_mpi_on_buffers;
  }
}

// What fuse/buffers.c puts in its place.
static void read_stand_in(FiarView* view, FiarPrimitive* p) {
  double world = 0;
  (void)view;
  p->n_in = 1;
  p->reduction = "sum";
  p->groups = fiarOpAttribute(p->op, "groups");
  p->mode = mlirAttributeIsAString(p->groups) ? FIAR_GROUPS_PROCESS : FIAR_GROUPS_FLATTENED;
  p->world = fiarReadNumber(fiarOpAttribute(p->op, "world"), &world) ? fiarWhole(world) : 0;
}

static const char* const dialects[] = {"mpi", "memref", "bufferization", NULL};

static const FiarOpRow rows[] = {
    {"allreduce", FIAR_PRIM_ALL_REDUCE, read_all_reduce},
    {FIAR_MPI_STAND_IN, FIAR_PRIM_ALL_REDUCE, read_stand_in},
    // Memory that nothing reads and communicators that nothing uses may go.
    {"alloc", FIAR_PRIM_PURE, NULL},
    {"cast", FIAR_PRIM_PURE, NULL},
    {"collapse_shape", FIAR_PRIM_PURE, NULL},
    {"comm_rank", FIAR_PRIM_PURE, NULL},
    {"comm_size", FIAR_PRIM_PURE, NULL},
    {"comm_split", FIAR_PRIM_PURE, NULL},
    {"comm_world", FIAR_PRIM_PURE, NULL},
    {"dim", FIAR_PRIM_PURE, NULL},
    {"expand_shape", FIAR_PRIM_PURE, NULL},
    {"to_buffer", FIAR_PRIM_PURE, NULL},
    {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_mpi = {dialects, rows};
