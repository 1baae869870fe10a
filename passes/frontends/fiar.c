// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar's own ops: what an earlier fusion left is a collective and no more, and what
// fiar-raise-block made is a value and no more.
#include "frontends/primitive.h"

static const char* const dialects[] = {"fiar", NULL};

static const FiarOpRow rows[] = {
    {"all_reduce_norm", FIAR_PRIM_COLLECTIVE, NULL},
    {"all_reduce", FIAR_PRIM_COLLECTIVE, NULL},
    {"all_gather_rows", FIAR_PRIM_COLLECTIVE, NULL},
    {"take_rows", FIAR_PRIM_COLLECTIVE, NULL},  // local, but no function of its operand alone
    {"matmul", FIAR_PRIM_PURE, NULL},
    {"rms_norm", FIAR_PRIM_PURE, NULL},
    {"quantize", FIAR_PRIM_PURE, NULL},
    {"activate", FIAR_PRIM_PURE, NULL},
    {"copy", FIAR_PRIM_PURE, NULL},
    {FIAR_LOCAL_SUM, FIAR_PRIM_IDENTITY, NULL},
    {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_fiar = {dialects, rows};
