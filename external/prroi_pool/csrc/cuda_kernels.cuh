// The CUDA kernels of Precise RoI pooling, as functions of a block of threads.
//
// Nothing of torch or of the CUDA runtime is named here: a `Block` gives the indices and the barrier, `Number<T>` the
// conversions. So the same text runs on a GPU (cuda.cu) and, with threads of the host, in the tests.
//
// No kernel uses atomics, and no sum depends on the size of the grid: the same input gives the same bits.
#pragma once

#include <cstdint>

#include "cuda_bins.cuh"

namespace prroi {

// How a box is cut into parts for the blocks: tiles of at most kTileBins x kTileBins bins, and chunks of channels. A
// thread takes `column` bins below each other at a time.
struct Parts {
  int tiles_y, tiles_x;
  int chunk_channels, chunks;
  int column;

  PRROI_HD int64_t count() const { return static_cast<int64_t>(tiles_y) * tiles_x * chunks; }
};

// With few boxes a thread takes one bin, and a block few channels, to have threads enough. Where this makes more than
// about `blocks` parts, threads take columns of bins, which read less, and blocks more channels, for which they use
// the tables of weights that they computed once.
inline Parts plan_parts(const Sizes& sizes, int threads, int blocks) {
  const int bins_y = least_of(sizes.bins_y, kTileBins), bins_x = least_of(sizes.bins_x, kTileBins);
  Parts parts{ceil_div(sizes.bins_y, kTileBins), ceil_div(sizes.bins_x, kTileBins), 0, 0, 1};
  double channels = 1;
  for (int pass = 0; pass < 2; ++pass) {
    const int per_channel = ceil_div(bins_y, parts.column) * bins_x;
    const int least = per_channel < threads ? threads / per_channel : 1;
    const double all = ceil(sizes.channels / static_cast<double>(least)) * parts.tiles_y * parts.tiles_x * sizes.rois;
    const double rounds = all < blocks ? 1 : all / blocks;
    if (pass == 0) parts.column = rounds < bins_y ? static_cast<int>(rounds) : bins_y;
    channels = least * rounds;
  }
  const double most = (1 << 24) / (bins_y * bins_x);  // the bins of a part are counted in int
  if (channels > most) channels = most;
  parts.chunk_channels = channels < sizes.channels ? static_cast<int>(channels) : sizes.channels;
  parts.chunks = parts.chunk_channels > 0 ? ceil_div(sizes.channels, parts.chunk_channels) : 0;
  return parts;
}

template <typename Acc, int kKinds>
struct PartTables {
  Edges<Acc, kTileBins + 1> y_edges, x_edges;
  Bin<Acc, kKinds> y[kTileBins], x[kTileBins];
};

// One part of one box. `image` is -1 if the box cannot be pooled.
struct Part {
  int roi, image;
  int bin_y, bins_y, bin_x, bins_x;
  int channel, channels;

  // The block's threads compute the tables together. Some may still use the bins of the part before: what is written
  // first are the edges, and then a barrier waits for them.
  template <typename Acc, int kKinds, typename Block>
  PRROI_DEVICE Part(const Sizes& sizes, const Parts& parts, const Acc* __restrict__ rois, int roi_index, int index,
                    PartTables<Acc, kKinds>& tables, const Block& block) {
    const int tile = index / parts.chunks;
    roi = roi_index;
    image = image_of(rois, roi, sizes);
    bin_y = tile / parts.tiles_x * kTileBins;
    bin_x = tile % parts.tiles_x * kTileBins;
    bins_y = least_of(sizes.bins_y - bin_y, kTileBins);
    bins_x = least_of(sizes.bins_x - bin_x, kTileBins);
    channel = index % parts.chunks * parts.chunk_channels;
    channels = least_of(sizes.channels - channel, parts.chunk_channels);
    if (image < 0) return;
    for (int t = block.thread(); t < bins_y + bins_x + 2; t += block.threads()) {
      const bool in_y = t <= bins_y;
      const int k = in_y ? t : t - bins_y - 1;
      const Side side = read_side(rois, roi, in_y, sizes);
      auto& edges = in_y ? tables.y_edges : tables.x_edges;
      edges.edge[k] = edge_of<Acc>(side, (in_y ? bin_y : bin_x) + k, in_y ? sizes.height : sizes.width);
      if (k == 0) edges.size = static_cast<Acc>(side.size);
    }
    block.sync();
    for (int t = block.thread(); t < (bins_y + bins_x) * kSlots; t += block.threads()) {
      const bool in_y = t < bins_y * kSlots;
      const int slot = t % kSlots, k = t / kSlots - (in_y ? 0 : bins_y);
      const auto& edges = in_y ? tables.y_edges : tables.x_edges;
      fill_slot(edges.edge + k, edges.size, (in_y ? bin_y : bin_x) + k, in_y ? sizes.bins_y : sizes.bins_x,
                in_y ? sizes.height : sizes.width, static_cast<Acc>(sizes.scale), slot,
                in_y ? tables.y[k] : tables.x[k]);
    }
    block.sync();
  }
};

// The bins [y, y_end) x [x, x + 1) of a part in one channel: what a thread takes at a time.
struct Strip {
  int y, y_end, x;
  int channel;

  PRROI_DEVICE Strip(const Part& part, int column, int number) {
    const int strips = ceil_div(part.bins_y, column), rest = number / part.bins_x;
    x = number % part.bins_x;
    y = rest % strips * column;
    y_end = least_of(y + column, part.bins_y);
    channel = part.channel + rest / strips;
  }

  static PRROI_DEVICE int count(const Part& part, int column) {
    return part.channels * ceil_div(part.bins_y, column) * part.bins_x;
  }

  PRROI_DEVICE int64_t plane(const Sizes& sizes, const Part& part) const {
    return static_cast<int64_t>(part.image) * sizes.channels + channel;
  }

  // Index of the first bin in (R, C, bins_y, bins_x); the next one is bins_x further.
  PRROI_DEVICE int64_t output(const Sizes& sizes, const Part& part) const {
    const int64_t plane = static_cast<int64_t>(part.roi) * sizes.channels + channel;
    return (plane * sizes.bins_y + part.bin_y + y) * sizes.bins_x + part.bin_x + x;
  }
};

// Forward: neighbouring threads have neighbouring bins, so that they write side by side and share what they read.
template <bool kColumns, typename T, typename Block>
PRROI_DEVICE void pool_block(const Sizes& sizes, const Parts& parts, const T* __restrict__ features,
                             const AccOf<T>* __restrict__ rois, T* __restrict__ out,
                             PartTables<AccOf<T>, 1>& shared, const Block& block) {
  using Acc = AccOf<T>;
  const int64_t cells = static_cast<int64_t>(sizes.height) * sizes.width;
  const int count = static_cast<int>(parts.count()), column = kColumns ? parts.column : 1;
  for (int64_t roi = block.x(); roi < sizes.rois; roi += block.grid_x()) {
    for (int64_t index = block.y(); index < count; index += block.grid_y()) {
      const Part part(sizes, parts, rois, static_cast<int>(roi), static_cast<int>(index), shared, block);
      const int strips = Strip::count(part, column);
      for (int t = block.thread(); t < strips; t += block.threads()) {
        const Strip strip(part, column, t);
        T* result = out + strip.output(sizes, part);
        if (part.image < 0) {
          for (int k = strip.y; k < strip.y_end; ++k, result += sizes.bins_x)
            *result = Number<T>::narrow(static_cast<Acc>(NAN));
          continue;
        }
        Column<T, 1> bins(features + strip.plane(sizes, part) * cells, sizes.width, shared.x[strip.x]);
        for (int k = strip.y; k < strip.y_end; ++k, result += sizes.bins_x) {
          Acc sum[1] = {0};
          if constexpr (kColumns)
            bins.next_bin(shared.y[k], sum);
          else
            bins.lone_bin(shared.y[k], sum);
          *result = Number<T>::narrow(sum[0]);
        }
      }
    }
  }
}

template <typename Acc, int kThreads>
struct BoxSums {
  Acc value[4][kThreads];

  // The sums over the block's threads, in an order that only the number of threads decides; valid in thread 0.
  template <typename Block>
  PRROI_DEVICE void reduce(Acc (&sum)[4], const Block& block) {
    for (int k = 0; k < 4; ++k) value[k][block.thread()] = sum[k];
    for (int left = block.threads(); left > 1;) {
      const int half = (left + 1) / 2;
      block.sync();
      if (block.thread() + half < left)
        for (int k = 0; k < 4; ++k) value[k][block.thread()] += value[k][block.thread() + half];
      left = half;
    }
    for (int k = 0; k < 4; ++k) sum[k] = value[k][block.thread()];
  }
};

template <typename Acc>
PRROI_DEVICE void write_box_gradient(const Acc (&sum)[4], int64_t roi, Acc* __restrict__ out) {
  out[roi * 5] = 0;
  for (int k = 0; k < 4; ++k) out[roi * 5 + 1 + k] = sum[k];
}

template <typename Acc, int kThreads>
struct RoisShared {
  PartTables<Acc, 3> tables;
  BoxSums<Acc, kThreads> sums;
};

// Gradient to the boxes. `out` is (R, 5) where a box has one part, else (R, parts, 4), which sum_parts_block adds up.
template <bool kColumns, typename T, int kThreads, typename Block>
PRROI_DEVICE void backward_rois_block(const Sizes& sizes, const Parts& parts, const T* __restrict__ grad,
                                      const T* __restrict__ features, const AccOf<T>* __restrict__ rois,
                                      AccOf<T>* __restrict__ out, RoisShared<AccOf<T>, kThreads>& shared,
                                      const Block& block) {
  using Acc = AccOf<T>;
  const int64_t cells = static_cast<int64_t>(sizes.height) * sizes.width;
  const int count = static_cast<int>(parts.count()), column = kColumns ? parts.column : 1;
  for (int64_t roi = block.x(); roi < sizes.rois; roi += block.grid_x()) {
    for (int64_t index = block.y(); index < count; index += block.grid_y()) {
      const Part part(sizes, parts, rois, static_cast<int>(roi), static_cast<int>(index), shared.tables, block);
      const int strips = part.image < 0 ? 0 : Strip::count(part, column);
      Acc total[4] = {0, 0, 0, 0};
      for (int t = block.thread(); t < strips; t += block.threads()) {
        const Strip strip(part, column, t);
        const T* value = grad + strip.output(sizes, part);
        Column<T, 3> bins(features + strip.plane(sizes, part) * cells, sizes.width, shared.tables.x[strip.x]);
        for (int k = strip.y; k < strip.y_end; ++k, value += sizes.bins_x) {
          const Acc factor = Number<T>::widen(*value);
          Acc sum[4] = {0, 0, 0, 0};
          if constexpr (kColumns)
            bins.next_bin(shared.tables.y[k], sum);
          else
            bins.lone_bin(shared.tables.y[k], sum);
          for (int n = 0; n < 4; ++n) total[n] += factor * sum[n];
        }
      }
      shared.sums.reduce(total, block);
      if (block.thread() == 0) {
        if (count == 1)
          write_box_gradient(total, roi, out);
        else
          for (int k = 0; k < 4; ++k) out[(roi * count + index) * 4 + k] = total[k];
      }
      block.sync();
    }
  }
}

template <typename Acc, int kThreads, typename Block>
PRROI_DEVICE void sum_parts_block(int rois, int count, const Acc* __restrict__ partial, Acc* __restrict__ out,
                                  BoxSums<Acc, kThreads>& shared, const Block& block) {
  for (int64_t roi = block.x(); roi < rois; roi += block.grid_x()) {
    Acc total[4] = {0, 0, 0, 0};
    for (int index = block.thread(); index < count; index += block.threads())
      for (int k = 0; k < 4; ++k) total[k] += partial[(roi * count + index) * 4 + k];
    shared.reduce(total, block);
    if (block.thread() == 0) write_box_gradient(total, roi, out);
    block.sync();
  }
}

}  // namespace prroi
