// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Shardy: annotations between the steps. Its own all_reduce works on global shapes, whose rows and
// hidden dimension may both be sharded, so it is reported and left.
#include "frontends/primitive.h"

static void read_all_reduce(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->mode = FIAR_GROUPS_FLATTENED;
  p->reduction = "one of global shapes; run Shardy's export to local shapes first";
}

static const char* const dialects[] = {"sdy", NULL};

static const FiarOpRow rows[] = {
    {"all_reduce", FIAR_PRIM_ALL_REDUCE, read_all_reduce},
    {"sharding_constraint", FIAR_PRIM_IDENTITY, NULL},
    {"reshard", FIAR_PRIM_IDENTITY, NULL},
    {"propagation_barrier", FIAR_PRIM_IDENTITY, NULL},
    {"mesh", FIAR_PRIM_PURE, NULL},
    {"manual_computation", FIAR_PRIM_PURE, NULL},
    {"named_computation", FIAR_PRIM_PURE, NULL},
    {"return", FIAR_PRIM_PURE, NULL},
    {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_shardy = {dialects, rows};
