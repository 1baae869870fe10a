// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Replica groups: dense<[[0, 1], [2, 3]]>, or mesh axes such as
//   #stablehlo.replica_group_mesh_axes<mesh = @m, axes = [#stablehlo.axis_ref<name = "x">]>
// which, over sdy.mesh @m = <["x"=2, "y"=2]>, are the groups [[0, 2], [1, 3]]: ids count row-major
// over the mesh's axes (or are its device_ids in that order), with one group for each place on the
// others.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/primitive.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

enum { MAX_AXES = 16, MAX_NAME = 64, MAX_DEVICES = 4096, MAX_IDS = 1 << 20 };

typedef struct mesh {
  int n_axes;
  char names[MAX_AXES][MAX_NAME];
  int64_t sizes[MAX_AXES];
  int64_t n_ids;  // 0: ids are the row-major places
  int64_t* ids;
} mesh_t;

#define REFUSE(...) (snprintf(text, text_size, __VA_ARGS__), false)

// A cursor over attribute text.
typedef struct scan {
  const char* at;
  const char* end;
} scan_t;

static scan_t scan_text(MlirStringRef text) {
  return (scan_t){text.data, text.data + text.length};
}

// Moves behind the next `word`, or stays and gives false.
static bool scan_past(scan_t* scan, const char* word) {
  size_t length = strlen(word);
  for (const char* at = scan->at; at + length <= scan->end; ++at) {
    if (memcmp(at, word, length) == 0) {
      scan->at = at + length;
      return true;
    }
  }
  return false;
}

static void scan_blanks(scan_t* scan) {
  while (scan->at < scan->end && strchr(" \t\n,", *scan->at) != NULL) {
    ++scan->at;
  }
}

static bool scan_is(scan_t* scan, const char* word) {
  size_t length = strlen(word);
  scan_blanks(scan);
  if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0) {
    return false;
  }
  scan->at += length;
  return true;
}

static bool scan_int(scan_t* scan, int64_t* out_number) {
  char digits[24] = "";
  size_t length = 0;
  scan_blanks(scan);
  while (scan->at < scan->end && length + 1 < sizeof digits &&
         (*scan->at == '-' || (*scan->at >= '0' && *scan->at <= '9'))) {
    digits[length++] = *scan->at++;
  }
  *out_number = strtoll(digits, NULL, 10);
  return length > 0;
}

// A quoted name.
static bool scan_name(scan_t* scan, char* out_name) {
  if (!scan_is(scan, "\"")) {
    return false;
  }
  size_t length = 0;
  while (scan->at < scan->end && *scan->at != '"') {
    if (length + 1 == MAX_NAME) {
      return false;
    }
    out_name[length++] = *scan->at++;
  }
  out_name[length] = '\0';
  return scan_is(scan, "\"");
}

// [1, 0, 3, 2], also nested, as device_ids are written.
static bool scan_ids(scan_t* scan, mesh_t* mesh) {
  int64_t capacity = 0;
  scan_t rest = *scan;
  for (int64_t id; rest.at < rest.end && *rest.at != '>' && *rest.at != ':';) {
    if (scan_is(&rest, "[") || scan_is(&rest, "]")) {
      continue;
    }
    if (!scan_int(&rest, &id)) {
      break;
    }
    if (mesh->n_ids == capacity) {
      capacity = capacity == 0 ? 64 : capacity * 2;
      int64_t* ids = realloc(mesh->ids, (size_t)capacity * sizeof *ids);
      if (ids == NULL) {
        return false;
      }
      mesh->ids = ids;
    }
    mesh->ids[mesh->n_ids++] = id;
  }
  return mesh->n_ids > 0;
}

// mesh<["x"=2, "y"=4], device_ids=[..]> of Shardy.
static bool mesh_from_sdy(MlirStringRef attribute, mesh_t* mesh) {
  scan_t scan = scan_text(attribute);
  if (!scan_past(&scan, "[")) {
    return false;
  }
  while (!scan_is(&scan, "]")) {
    int i = mesh->n_axes;
    if (i == MAX_AXES || !scan_name(&scan, mesh->names[i]) || !scan_is(&scan, "=") ||
        !scan_int(&scan, &mesh->sizes[i])) {
      return false;
    }
    ++mesh->n_axes;
  }
  return !scan_past(&scan, "device_ids") || (scan_past(&scan, "=") && scan_ids(&scan, mesh));
}

// mesh<axes = [#stablehlo.mesh_axis<name = "x", size = 2>, ..], device_ids = dense<..>> of
// StableHLO.
static bool mesh_from_inline(MlirStringRef attribute, mesh_t* mesh) {
  scan_t scan = scan_text(attribute);
  while (scan_past(&scan, "mesh_axis<")) {
    int i = mesh->n_axes;
    if (i == MAX_AXES || !scan_is(&scan, "name") || !scan_is(&scan, "=") ||
        !scan_name(&scan, mesh->names[i]) || !scan_is(&scan, "size") || !scan_is(&scan, "=") ||
        !scan_int(&scan, &mesh->sizes[i])) {
      return false;
    }
    ++mesh->n_axes;
  }
  return !scan_past(&scan, "device_ids") || (scan_past(&scan, "<") && scan_ids(&scan, mesh));
}

// The rest of @name or @"name".
static MlirStringRef scan_symbol(scan_t* scan) {
  const char* start = scan->at;
  while (scan->at < scan->end && strchr(",> ", *scan->at) == NULL) {
    ++scan->at;
  }
  MlirStringRef name = mlirStringRefCreate(start, (size_t)(scan->at - start));
  bool quoted = name.length > 1 && name.data[0] == '"';
  return quoted ? mlirStringRefCreate(name.data + 1, name.length - 2) : name;
}

static MlirOperation symbol_by_text(MlirOperation module, MlirStringRef name) {
  MlirOperation none = {NULL};
  for (MlirOperation op =
           mlirBlockGetFirstOperation(mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(module)));
       !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    MlirAttribute symbol = fiarOpAttribute(op, "sym_name");
    if (!mlirAttributeIsNull(symbol) && mlirStringRefEqual(fiarAttributeText(symbol), name)) {
      return op;
    }
  }
  return none;
}

static bool mesh_read(MlirOperation module, MlirStringRef attribute, mesh_t* mesh, char* text,
                      size_t text_size) {
  scan_t scan = scan_text(attribute);
  if (!scan_past(&scan, "mesh = ")) {
    return REFUSE("the replica groups name no mesh: %.*s", (int)attribute.length, attribute.data);
  }
  if (!scan_is(&scan, "@")) {
    return mesh_from_inline(attribute, mesh) ||
           REFUSE("the mesh of the replica groups is not understood: %.*s", (int)attribute.length,
                  attribute.data);
  }
  MlirStringRef name = scan_symbol(&scan);
  MlirOperation op = symbol_by_text(module, name);
  if (mlirOperationIsNull(op)) {
    return REFUSE("the mesh @%.*s of the replica groups is not in the module", (int)name.length,
                  name.data);
  }
  return mesh_from_sdy(fiarAttributeText(fiarOpAttribute(op, "mesh")), mesh) ||
         REFUSE("the mesh @%.*s of the replica groups is not understood", (int)name.length,
                name.data);
}

// The mesh of the first of the shardings, [<@mesh, ..>, ..] or [<mesh<["x"=2]>, ..>, ..].
static bool mesh_of_shardings(MlirOperation module, MlirAttribute shardings, mesh_t* mesh) {
  scan_t scan = scan_text(fiarAttributeText(shardings));
  if (!scan_past(&scan, "[<")) {
    return false;
  }
  if (!scan_is(&scan, "@")) {
    return mesh_from_sdy(mlirStringRefCreate(scan.at, (size_t)(scan.end - scan.at)), mesh);
  }
  MlirOperation op = symbol_by_text(module, scan_symbol(&scan));
  return !mlirOperationIsNull(op) &&
         mesh_from_sdy(fiarAttributeText(fiarOpAttribute(op, "mesh")), mesh);
}

bool fiarMeshHasAxisBeside(MlirOperation module, MlirAttribute shardings,
                           const MlirAttribute* axis_lists, int n_lists) {
  mesh_t mesh = {0};
  bool beside = false;
  if (mesh_of_shardings(module, shardings, &mesh)) {
    for (int i = 0; i < mesh.n_axes && !beside; ++i) {
      char quoted[MAX_NAME + 2];
      bool listed = mesh.sizes[i] == 1;
      snprintf(quoted, sizeof quoted, "\"%s\"", mesh.names[i]);
      for (int k = 0; k < n_lists && !listed; ++k) {
        scan_t scan = scan_text(fiarAttributeText(axis_lists[k]));
        listed = scan_past(&scan, quoted);
      }
      beside = !listed;
    }
  }
  free(mesh.ids);
  return beside;
}

// Which axes of the mesh reduce, in the order in which the attribute lists them.
static bool axes_read(MlirStringRef attribute, const mesh_t* mesh, int* order, int* n_order,
                      char* text, size_t text_size) {
  scan_t scan = scan_text(attribute);
  while (scan_past(&scan, "axis_ref<")) {
    char name[MAX_NAME];
    if (!scan_is(&scan, "name") || !scan_is(&scan, "=") || !scan_name(&scan, name)) {
      return REFUSE("an axis of the replica groups is not understood");
    }
    if (!scan_is(&scan, ">")) {
      return REFUSE("axis \"%s\" of the replica groups is split into sub-axes", name);
    }
    int at = 0;
    while (at < mesh->n_axes && strcmp(mesh->names[at], name) != 0) {
      ++at;
    }
    if (at == mesh->n_axes || *n_order == MAX_AXES) {
      return REFUSE("the mesh has no axis \"%s\"", name);
    }
    order[(*n_order)++] = at;
  }
  return true;
}

// Nobody has verified the mesh.
static bool mesh_valid(const mesh_t* mesh, char* text, size_t text_size) {
  int64_t total = 1;
  for (int i = 0; i < mesh->n_axes; ++i) {
    if (mesh->sizes[i] < 1 || mesh->sizes[i] > MAX_IDS / total) {
      return REFUSE("axis \"%s\" of the replica groups' mesh has size %" PRId64, mesh->names[i],
                    mesh->sizes[i]);
    }
    total *= mesh->sizes[i];
  }
  return mesh->n_ids == 0 || mesh->n_ids == total ||
         REFUSE("the mesh of the replica groups has %" PRId64 " devices, but %" PRId64 " ids",
                total, mesh->n_ids);
}

static bool expand_axes(const mesh_t* mesh, const int* order, int n_order, FiarGroups* out_groups,
                        char* text, size_t text_size) {
  int64_t strides[MAX_AXES] = {0}, total = 1, size = 1;
  bool reduced[MAX_AXES] = {false};
  for (int i = mesh->n_axes - 1; i >= 0; --i) {
    strides[i] = total;
    total *= mesh->sizes[i];
  }
  for (int i = 0; i < n_order; ++i) {
    if (reduced[order[i]]) {
      return REFUSE("the replica groups name axis \"%s\" twice", mesh->names[order[i]]);
    }
    size *= mesh->sizes[order[i]];
    reduced[order[i]] = true;
  }
  int64_t* ids = malloc((size_t)total * sizeof *ids);
  if (ids == NULL) {
    return REFUSE("out of memory");
  }
  for (int64_t group = 0; group < total / size; ++group) {
    int64_t base = 0, rest = group;
    for (int axis = mesh->n_axes - 1; axis >= 0; --axis) {
      if (!reduced[axis]) {
        base += rest % mesh->sizes[axis] * strides[axis];
        rest /= mesh->sizes[axis];
      }
    }
    for (int64_t member = 0; member < size; ++member) {
      int64_t place = base;
      rest = member;
      for (int i = n_order - 1; i >= 0; --i) {
        place += rest % mesh->sizes[order[i]] * strides[order[i]];
        rest /= mesh->sizes[order[i]];
      }
      ids[group * size + member] = mesh->n_ids == 0 ? place : mesh->ids[place];
    }
  }
  *out_groups = (FiarGroups){total / size, size, ids};
  return true;
}

static bool from_mesh(MlirOperation module, MlirStringRef attribute, FiarGroups* out_groups,
                      char* text, size_t text_size) {
  mesh_t mesh = {0};
  int order[MAX_AXES], n_order = 0;
  bool ok = mesh_read(module, attribute, &mesh, text, text_size) &&
            axes_read(attribute, &mesh, order, &n_order, text, text_size) &&
            mesh_valid(&mesh, text, text_size) &&
            expand_axes(&mesh, order, n_order, out_groups, text, text_size);
  free(mesh.ids);
  return ok;
}

static bool from_dense(MlirAttribute groups, FiarGroups* out_groups, char* text, size_t text_size) {
  MlirType type = mlirAttributeGetType(groups);
  if (mlirShapedTypeGetRank(type) != 2) {
    return REFUSE("the replica groups are not a matrix of ids");
  }
  int64_t count = mlirShapedTypeGetDimSize(type, 0), size = mlirShapedTypeGetDimSize(type, 1);
  if (count > MAX_IDS || size > MAX_IDS || count * size > MAX_IDS) {
    return REFUSE("the replica groups are %" PRId64 " times %" PRId64 " ids", count, size);
  }
  int64_t* ids = malloc((size_t)(count * size + 1) * sizeof *ids);
  if (ids == NULL) {
    return REFUSE("out of memory");
  }
  int n = fiarReadInts(groups, ids, (int)(count * size));
  for (int i = 0; i < n; ++i) {
    if (ids[i] < 0) {
      free(ids);
      return REFUSE("the replica groups are of unequal size");
    }
  }
  if (n != count * size) {
    free(ids);
    return REFUSE("the replica groups are not a matrix of integers");
  }
  *out_groups = (FiarGroups){count, size, ids};
  return true;
}

static bool ids_valid(const FiarGroups* groups, int64_t limit, char* text, size_t text_size) {
  int64_t total = groups->count * groups->size, most = 0;
  for (int64_t i = 0; i < total; ++i) {
    if (groups->ids[i] < 0) {
      return REFUSE("the replica groups name rank %" PRId64, groups->ids[i]);
    }
    most = groups->ids[i] > most ? groups->ids[i] : most;
  }
  if (limit > 0 && most >= limit) {
    return REFUSE("the replica groups name rank %" PRId64 ", but the module has only %" PRId64
                  " (mhlo.num_replicas, mhlo.num_partitions)",
                  most, limit);
  }
  if (most > MAX_IDS) {
    return REFUSE("the replica groups name rank %" PRId64, most);
  }
  uint8_t* seen = calloc((size_t)most + 1, 1);
  bool twice = false;
  for (int64_t i = 0; seen != NULL && i < total; ++i) {
    if (seen[groups->ids[i]]) {
      (void)REFUSE("the replica groups name rank %" PRId64 " twice", groups->ids[i]);
      twice = true;
    }
    seen[groups->ids[i]] = 1;
  }
  free(seen);
  return !twice;
}

// What the module says of a group that has only a name: a matrix of ids, or how many ranks.
static MlirAttribute named_group(MlirOperation module, MlirStringRef name) {
  MlirAttribute groups = fiarOpAttribute(module, FIAR_GROUPS_ATTRIBUTE);
  return !mlirAttributeIsNull(groups) && mlirAttributeIsADictionary(groups)
             ? mlirDictionaryAttrGetElementByName(groups, name)
             : mlirAttributeGetNull();
}

static bool from_name(MlirOperation module, MlirStringRef name, FiarGroups* out_groups, char* text,
                      size_t text_size) {
  MlirAttribute known = named_group(module, name);
  double world = 0;
  if (!mlirAttributeIsNull(known) && mlirAttributeIsADenseIntElements(known)) {
    return from_dense(known, out_groups, text, text_size);
  }
  if (!fiarReadNumber(known, &world) || world < 1 || world > MAX_DEVICES) {
    return REFUSE(
        "which ranks the group \"%.*s\" has is not known: the module's attribute " FIAR_GROUPS_ATTRIBUTE
        " does not say",
        (int)name.length, name.data);
  }
  *out_groups = (FiarGroups){1, (int64_t)world, calloc((size_t)world, sizeof *out_groups->ids)};
  for (int64_t i = 0; out_groups->ids != NULL && i < out_groups->size; ++i) {
    out_groups->ids[i] = i;
  }
  return out_groups->ids != NULL || REFUSE("out of memory");
}

// How many ranks a named group has, or 0 and a sentence.
static int64_t named_world(FiarView* view, MlirStringRef name, char* text, size_t text_size) {
  FiarGroups groups;
  if (name.length == 0) {
    return REFUSE("the all-reduce's group is no constant name");
  }
  if (!mlirAttributeIsNull(named_group(view->module, name))) {
    if (!from_name(view->module, name, &groups, text, text_size)) {
      return 0;
    }
    int64_t world = groups.size;
    bool valid = ids_valid(&groups, 0, text, text_size);
    fiarGroupsFree(&groups);
    return valid ? world : -1;
  }
  snprintf(text, text_size,
           "how many ranks \"%.*s\" has is not known: neither the option `world` nor the module's "
           "attribute " FIAR_GROUPS_ATTRIBUTE " says",
           (int)name.length, name.data);
  return view->world;
}

void fiarGroupsFree(FiarGroups* groups) {
  free(groups->ids);
  *groups = (FiarGroups){0};
}

static bool expand(MlirOperation module, MlirAttribute groups, FiarGroups* out_groups, char* text,
                   size_t text_size) {
  if (mlirAttributeIsNull(groups)) {
    return REFUSE("the all-reduce has no replica groups");
  }
  if (mlirAttributeIsADenseIntElements(groups)) {
    return from_dense(groups, out_groups, text, text_size);
  }
  MlirStringRef attribute = fiarAttributeText(groups);
  if (mlirAttributeIsAString(groups)) {
    return from_name(module, attribute, out_groups, text, text_size);
  }
  scan_t scan = scan_text(attribute);
  if (scan_is(&scan, "replica_group_mesh_axes<")) {
    return from_mesh(module, attribute, out_groups, text, text_size);
  }
  return REFUSE("the replica groups are not understood: %.*s", (int)attribute.length,
                attribute.data);
}

bool fiarGroupsExpand(MlirOperation module, MlirAttribute groups, FiarGroups* out_groups,
                      char* text, size_t text_size) {
  *out_groups = (FiarGroups){0};
  bool ok = expand(module, groups, out_groups, text, text_size) &&
            ids_valid(out_groups, 0, text, text_size);
  if (!ok) {
    fiarGroupsFree(out_groups);
  }
  return ok;
}

// mhlo.num_replicas and mhlo.num_partitions; 0 where the module does not say.
static int64_t module_count(MlirOperation module, const char* name) {
  double number;
  return fiarReadNumber(fiarOpAttribute(module, name), &number) && number > 0 ? fiarWhole(number)
                                                                              : 0;
}

int64_t fiarGroupsWorld(FiarView* view, const FiarPrimitive* collective, char* text,
                        size_t text_size) {
  FiarGroups groups = {0};
  if (strcmp(collective->mode, FIAR_GROUPS_PROCESS) == 0) {
    int64_t world = named_world(view, fiarAttributeText(collective->groups), text, text_size);
    if (world > 0 && collective->world > 0 && world != collective->world) {
      snprintf(text, text_size,
               "the op's group has %" PRId64 " ranks, but it is said to have %" PRId64,
               collective->world, world);
      return -1;
    }
    return world != 0 ? world : collective->world;
  }
  if (!expand(view->module, collective->groups, &groups, text, text_size)) {
    return 0;
  }
  int64_t replicas = module_count(view->module, "mhlo.num_replicas");
  int64_t partitions = module_count(view->module, "mhlo.num_partitions");
  bool flattened = strcmp(collective->mode, FIAR_GROUPS_FLATTENED) == 0;
  bool both = strcmp(collective->mode, FIAR_GROUPS_REPLICA_AND_PARTITION) == 0;
  int64_t limit = flattened ? replicas * partitions : replicas;
  int64_t world = groups.size;
  if (groups.count * groups.size == 0) {
    world = limit;  // no groups: all ranks are one
  } else if (!ids_valid(&groups, limit, text, text_size)) {
    fiarGroupsFree(&groups);
    return -1;
  }
  fiarGroupsFree(&groups);
  if (both) {
    world *= partitions;
  }
  if (world == 0) {
    snprintf(text, text_size, "how many ranks reduce together is not known: %s",
             both ? "the module has no mhlo.num_partitions" : "its replica groups are empty");
  }
  return world;
}

MlirAttribute fiarGridGroups(MlirContext context, const int64_t* sizes, int rank,
                             const bool* reduced) {
  int64_t ids[MAX_DEVICES], total = 1, world = 1;
  for (int i = 0; i < rank; ++i) {
    if (sizes[i] < 1 || sizes[i] > MAX_DEVICES / total) {
      return mlirAttributeGetNull();
    }
    total *= sizes[i];
    world *= reduced[i] ? sizes[i] : 1;
  }
  for (int64_t id = 0; id < total; ++id) {
    int64_t group = 0, place = 0, rest = id, stride = total;
    for (int i = 0; i < rank; ++i) {
      stride /= sizes[i];
      int64_t at = rest / stride;
      rest %= stride;
      *(reduced[i] ? &place : &group) = (reduced[i] ? place : group) * sizes[i] + at;
    }
    ids[group * world + place] = id;
  }
  int64_t shape[] = {total / world, world};
  MlirType type =
      mlirRankedTensorTypeGet(2, shape, mlirIntegerTypeGet(context, 64), mlirAttributeGetNull());
  return mlirDenseElementsAttrInt64Get(type, total, ids);
}
