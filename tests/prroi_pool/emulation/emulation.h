// The three operators on the host, run by the CUDA kernels' own text.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "cuda_gather.cuh"
#include "cuda_kernels.cuh"
#include "grid.h"

// bfloat16 as torch stores it. It stands for half precision: float boxes and sums beside a shorter type.
struct Brain {
  uint16_t bits;
};

template <>
struct prroi::Number<Brain> {
  using Acc = float;
  static float widen(Brain value) { return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16); }
  static Brain narrow(float value) {
    if (value != value) return {0x7fc0};
    const auto bits = std::bit_cast<uint32_t>(value);
    return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
  }
};

constexpr int kMostThreads = 64;

// Threads of a block, how many blocks are thought to be enough, and the largest grid, beyond which kernels loop.
struct Launch {
  int threads, blocks;
  Grid limit;
};

template <typename T>
void emulate_pool(const prroi::Sizes& sizes, const Launch& launch, const T* features, const prroi::AccOf<T>* rois,
                  T* out) {
  using Acc = prroi::AccOf<T>;
  if (sizes.rois == 0 || sizes.channels == 0) return;
  const prroi::Parts parts = prroi::plan_parts(sizes, launch.threads, launch.blocks);
  const Grid grid{std::min(sizes.rois, launch.limit.x), std::min<int>(parts.count(), launch.limit.y), 1};
  run_grid<prroi::PartTables<Acc, 1>>(grid, launch.threads, [&](auto& shared, const EmulatedBlock& block) {
    if (parts.column > 1)
      prroi::pool_block<true>(sizes, parts, features, rois, out, shared, block);
    else
      prroi::pool_block<false>(sizes, parts, features, rois, out, shared, block);
  });
}

template <typename T>
void emulate_backward_features(const prroi::Sizes& sizes, const Launch& launch, const T* grad,
                               const prroi::AccOf<T>* rois, T* out) {
  if (sizes.images == 0 || sizes.channels == 0 || sizes.height == 0 || sizes.width == 0) return;
  const prroi::Tiles tiles = prroi::plan_tiles(sizes, launch.threads, launch.blocks);
  const Grid grid{std::min(tiles.tiles_y * tiles.tiles_x, launch.limit.x), std::min(tiles.group_rows, launch.limit.y),
                  std::min(sizes.images, launch.limit.z)};
  using Shared = prroi::GatherShared<prroi::AccOf<T>, kMostThreads>;
  run_grid<Shared>(grid, launch.threads, [&](Shared& shared, const EmulatedBlock& block) {
    prroi::backward_features_block(sizes, tiles, grad, rois, out, shared, block);
  });
}

template <typename T>
void emulate_backward_rois(const prroi::Sizes& sizes, const Launch& launch, const T* grad, const T* features,
                           const prroi::AccOf<T>* rois, prroi::AccOf<T>* out) {
  using Acc = prroi::AccOf<T>;
  if (sizes.rois == 0 || sizes.channels == 0) {
    std::fill(out, out + 5 * static_cast<int64_t>(sizes.rois), Acc(0));
    return;
  }
  const prroi::Parts parts = prroi::plan_parts(sizes, launch.threads, launch.blocks);
  const int count = static_cast<int>(parts.count());
  std::vector<Acc> partial(static_cast<size_t>(count) * sizes.rois * 4, std::numeric_limits<Acc>::quiet_NaN());
  Acc* target = count == 1 ? out : partial.data();
  const Grid grid{std::min(sizes.rois, launch.limit.x), std::min(count, launch.limit.y), 1};
  using Shared = prroi::RoisShared<Acc, kMostThreads>;
  run_grid<Shared>(grid, launch.threads, [&](Shared& shared, const EmulatedBlock& block) {
    if (parts.column > 1)
      prroi::backward_rois_block<true>(sizes, parts, grad, features, rois, target, shared, block);
    else
      prroi::backward_rois_block<false>(sizes, parts, grad, features, rois, target, shared, block);
  });
  if (count == 1) return;
  using Sums = prroi::BoxSums<Acc, kMostThreads>;
  run_grid<Sums>({grid.x, 1, 1}, launch.threads, [&](Sums& shared, const EmulatedBlock& block) {
    prroi::sum_parts_block(sizes.rois, count, partial.data(), out, shared, block);
  });
}
