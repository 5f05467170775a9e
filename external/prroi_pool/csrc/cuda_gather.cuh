// The gradient to the features, gathered: a block owns a tile of cells in some channels, finds the boxes that touch it,
// and writes every element of it once. The published design scatters with atomics instead, after a pass of zeros, and
// its sums differ from run to run.
#pragma once

#include <cstdint>

#include "cuda_bins.cuh"

namespace prroi {

constexpr int kTileSide = 8;        // cells of a tile along each axis, at most
constexpr int kScan = 8;            // boxes that a thread tests at a time
constexpr int kHeldBoxes = 32;      // boxes whose weights are held at a time, at most
constexpr int kHeldWeights = 2048;  // their weights, at most
constexpr int kHeldEdges = 512;     // the edges of their bins, at most
constexpr int kOwnChannels = 4;     // channels of a thread, at most
constexpr int kAbreast = 4;         // bins of a row that are read at once
static_assert(2 * kTileBins * kTileSide <= kHeldWeights && 2 * kTileBins + 2 <= kHeldEdges, "one box must fit");

// Tiles of tile_height x tile_width cells; a group of channels is what a block's threads hold at a time.
struct Tiles {
  int tile_height, tile_width;
  int tiles_y, tiles_x;
  int lanes, own;  // a group has `lanes` channels side by side, `own` times
  int groups;
  int group_rows;  // blocks that share the groups of a tile

  PRROI_HD int group_channels() const { return lanes * own; }
};

// Tiles of nearly equal sides, so that a map of 18 cells has three of 6 and not two of 8 and one of 2. Blocks take
// several groups, and use for them the weights that they computed once, if there are more than about `blocks`; they
// take small groups if there are so few that a large GPU would have too little to do.
inline Tiles plan_tiles(const Sizes& sizes, int threads, int blocks) {
  int side = kTileSide;
  while (side * side > threads) --side;
  Tiles tiles;
  tiles.tiles_y = ceil_div(sizes.height, side);
  tiles.tiles_x = ceil_div(sizes.width, side);
  tiles.tile_height = ceil_div(sizes.height, tiles.tiles_y);
  tiles.tile_width = ceil_div(sizes.width, tiles.tiles_x);
  tiles.lanes = threads / (tiles.tile_height * tiles.tile_width);
  const double others = static_cast<double>(tiles.tiles_y) * tiles.tiles_x * sizes.images;
  tiles.own = kOwnChannels;
  while (tiles.own > 1 && others * ceil_div(sizes.channels, tiles.group_channels()) < blocks / 8) tiles.own /= 2;
  tiles.groups = ceil_div(sizes.channels, tiles.group_channels());
  const double wanted = blocks / others;
  tiles.group_rows = wanted < 1 ? 1 : wanted < tiles.groups ? static_cast<int>(wanted) : tiles.groups;
  return tiles;
}

template <typename Acc, int kThreads>
struct GatherShared {
  int offset[2][kThreads];
  uint16_t list[kScan * kThreads];
  Side side[kHeldBoxes][2];  // along y, along x
  Edge<Acc> edge[kHeldEdges];
  Acc weight[kHeldWeights];
  struct {
    int16_t low, high;
  } bins[kHeldBoxes][2 * kTileSide];
};

// A tile of one image: cells [y, y + height) x [x, x + width).
struct Tile {
  int image;
  int y, height, x, width;
};

// Whether a box reaches the hat functions of cells [from, from + count) along one axis. It is right where it says no;
// rounding may make it say yes too often.
template <typename Acc>
PRROI_DEVICE bool reaches(Acc low, Acc high, Acc scale, int from, int count) {
  const Acc doubt = Acc(0.01), share = Acc(1e-6), begin = low * scale, end = high * scale;
  const bool starts_before = begin - doubt - share * (begin < 0 ? -begin : begin) < from + count;
  return high > low && starts_before && end + doubt + share * (end < 0 ? -end : end) > from - 1;
}

// Lists the boxes of [begin, begin + kScan * threads) that touch the tile, as distances from `begin`; how many they
// are. The order is that of the threads, not of the boxes, and the same in every run. The barriers within keep the list
// until every thread is done with the one before.
template <typename Acc, int kThreads, typename Block>
PRROI_DEVICE int list_boxes(const Sizes& sizes, const Acc* __restrict__ rois, const Tile& tile, int begin,
                            GatherShared<Acc, kThreads>& shared, const Block& block) {
  const Acc scale = static_cast<Acc>(sizes.scale);
  unsigned touching = 0;
  int found = 0;
  PRROI_UNROLL
  for (int s = 0; s < kScan; ++s) {
    const int64_t roi = static_cast<int64_t>(begin) + s * block.threads() + block.thread();
    if (roi >= sizes.rois || image_of(rois, roi, sizes) != tile.image) continue;
    const Acc* box = rois + roi * 5;
    if (!reaches(box[1], box[3], scale, tile.x, tile.width) || !reaches(box[2], box[4], scale, tile.y, tile.height))
      continue;
    touching |= 1u << s;
    ++found;
  }
  int from = 0;
  shared.offset[0][block.thread()] = found;
  for (int step = 1; step < block.threads(); step *= 2, from = 1 - from) {
    block.sync();
    const int before = block.thread() >= step ? shared.offset[from][block.thread() - step] : 0;
    shared.offset[1 - from][block.thread()] = shared.offset[from][block.thread()] + before;
  }
  block.sync();
  int place = shared.offset[from][block.thread()] - found;
  for (int s = 0; s < kScan; ++s)
    if (touching >> s & 1) shared.list[place++] = static_cast<uint16_t>(s * block.threads() + block.thread());
  const int count = shared.offset[from][block.threads() - 1];
  block.sync();
  return count;
}

// A tile of bins, as wide as the tables allow, of boxes held in shared memory.
struct Held {
  int bin_y, bins_y, bin_x, bins_x;
  int per_box;  // weights of a box: bins_y rows of the tile's height, then bins_x rows of its width

  PRROI_DEVICE Held(const Sizes& sizes, const Tile& tile, int first_y, int first_x)
      : bin_y(first_y),
        bins_y(least_of(sizes.bins_y - first_y, kTileBins)),
        bin_x(first_x),
        bins_x(least_of(sizes.bins_x - first_x, kTileBins)),
        per_box(bins_y * tile.height + bins_x * tile.width) {}

  PRROI_DEVICE int edges() const { return bins_y + bins_x + 2; }  // of a box
  PRROI_DEVICE int boxes() const {
    return least_of(kHeldBoxes, least_of(kHeldWeights / per_box, kHeldEdges / edges()));
  }
};

// Fills the tables for `count` boxes of the list, from number `from` on. Threads may still be at work with the weights
// that were filled before, but with nothing else: that is written first, and barriers wait for them.
template <typename Acc, int kThreads, typename Block>
PRROI_DEVICE void hold_boxes(const Sizes& sizes, const Acc* __restrict__ rois, const Tile& tile, const Held& held,
                             int begin, int from, int count, GatherShared<Acc, kThreads>& shared, const Block& block) {
  for (int t = block.thread(); t < 2 * count; t += block.threads()) {
    const int64_t roi = static_cast<int64_t>(begin) + shared.list[from + t / 2];
    shared.side[t / 2][t % 2] = read_side(rois, roi, t % 2 == 0, sizes);
  }
  block.sync();
  for (int t = block.thread(); t < count * held.edges(); t += block.threads()) {
    const int at = t % held.edges();
    const bool in_y = at <= held.bins_y;
    const Side& side = shared.side[t / held.edges()][in_y ? 0 : 1];
    shared.edge[t] = in_y ? edge_of<Acc>(side, held.bin_y + at, sizes.height)
                          : edge_of<Acc>(side, held.bin_x + at - held.bins_y - 1, sizes.width);
  }
  block.sync();
  const int y_weights = held.bins_y * tile.height;
  for (int t = block.thread(); t < count * held.per_box; t += block.threads()) {
    const int q = t / held.per_box, at = t % held.per_box;
    const bool in_y = at < y_weights;
    const int along = in_y ? at : at - y_weights, side = in_y ? tile.height : tile.width;
    const int k = along / side, cell = (in_y ? tile.y : tile.x) + along % side;
    const Edge<Acc>* edges = shared.edge + q * held.edges() + (in_y ? k : held.bins_y + 1 + k);
    const Acc size = static_cast<Acc>(shared.side[q][in_y ? 0 : 1].size);
    const Acc weight = weight_between(OnHat<Acc>(edges[0], cell), OnHat<Acc>(edges[1], cell), size);
    shared.weight[t] = size > 0 ? weight : Acc(0);
  }
  block.sync();
  const int sides = tile.height + tile.width;
  for (int t = block.thread(); t < count * sides; t += block.threads()) {
    const int q = t / sides, at = t % sides;
    const bool in_y = at < tile.height;
    const int bins = in_y ? held.bins_y : held.bins_x, stride = in_y ? tile.height : tile.width;
    const Acc* column = shared.weight + q * held.per_box + (in_y ? at : y_weights + at - tile.height);
    int low = 0, high = bins - 1;
    while (low <= high && column[low * stride] == 0) ++low;
    while (low <= high && column[high * stride] == 0) --high;
    shared.bins[q][at].low = static_cast<int16_t>(low);
    shared.bins[q][at].high = static_cast<int16_t>(high);
  }
  block.sync();
}

// One thread's cell and channels. A thread with nothing to do has no channels.
struct Own {
  int y, x;  // in the tile
  int channel, step, channels;
};

template <typename T, int kThreads>
PRROI_DEVICE void add_held(const Sizes& sizes, const T* __restrict__ grad, const Tile& tile, const Held& held,
                           const Own& own, int begin, int from, int count,
                           const GatherShared<AccOf<T>, kThreads>& shared, AccOf<T> (&sum)[kOwnChannels]) {
  using Acc = AccOf<T>;
  const int64_t bins = static_cast<int64_t>(sizes.bins_y) * sizes.bins_x;
  for (int q = 0; q < count; ++q) {
    const auto rows = shared.bins[q][own.y], columns = shared.bins[q][tile.height + own.x];
    if (rows.low > rows.high || columns.low > columns.high) continue;
    const Acc* y_weight = shared.weight + q * held.per_box + own.y;
    const Acc* x_weight = shared.weight + q * held.per_box + held.bins_y * tile.height + own.x;
    const int64_t roi = static_cast<int64_t>(begin) + shared.list[from + q];
    const T* of_box = grad + (roi * sizes.channels + own.channel) * bins + held.bin_x;
    for (int k = rows.low; k <= rows.high; ++k) {
      const T* row = of_box + static_cast<int64_t>(held.bin_y + k) * sizes.bins_x;
      for (int l = columns.low; l <= columns.high; l += kAbreast) {
        Acc weight[kAbreast];
        PRROI_UNROLL
        for (int s = 0; s < kAbreast; ++s)
          weight[s] = l + s <= columns.high ? y_weight[k * tile.height] * x_weight[(l + s) * tile.width] : Acc(0);
        PRROI_UNROLL
        for (int u = 0; u < kOwnChannels; ++u) {
          PRROI_UNROLL
          for (int s = 0; s < kAbreast; ++s)
            if (u < own.channels && l + s <= columns.high)
              sum[u] += weight[s] * Number<T>::widen(row[u * own.step * bins + l + s]);
        }
      }
    }
  }
}

template <typename T, int kThreads, typename Block>
PRROI_DEVICE void gather_tile(const Sizes& sizes, const Tiles& tiles, const Tile& tile, const T* __restrict__ grad,
                              const AccOf<T>* __restrict__ rois, T* __restrict__ out,
                              GatherShared<AccOf<T>, kThreads>& shared, const Block& block) {
  using Acc = AccOf<T>;
  const int area = tile.height * tile.width, scan = kScan * block.threads();
  const int lane = block.thread() / area, in_tile = block.thread() % area;
  int64_t held_now = -1, listed_now = -1;  // numbers of the boxes and of the list that are in shared memory
  int listed = 0;
  for (int64_t group = block.y(); group < tiles.groups; group += block.grid_y()) {
    Own own{in_tile / tile.width, in_tile % tile.width, static_cast<int>(group) * tiles.group_channels() + lane,
            tiles.lanes, 0};
    if (lane < tiles.lanes && own.channel < sizes.channels)
      own.channels = least_of(tiles.own, ceil_div(sizes.channels - own.channel, own.step));
    Acc sum[kOwnChannels] = {};
    int64_t held_number = 0, list_number = 0;
    for (int bin_y = 0; bin_y < sizes.bins_y; bin_y += kTileBins) {
      for (int bin_x = 0; bin_x < sizes.bins_x; bin_x += kTileBins) {
        const Held held(sizes, tile, bin_y, bin_x);
        for (int64_t begin = 0; begin < sizes.rois; begin += scan, ++list_number) {
          const int base = static_cast<int>(begin);
          if (list_number != listed_now) listed = list_boxes(sizes, rois, tile, base, shared, block);
          listed_now = list_number;
          for (int from = 0; from < listed; from += held.boxes(), ++held_number) {
            const int count = least_of(held.boxes(), listed - from);
            if (held_number != held_now) hold_boxes(sizes, rois, tile, held, base, from, count, shared, block);
            held_now = held_number;
            if (own.channels > 0) add_held<T>(sizes, grad, tile, held, own, base, from, count, shared, sum);
          }
        }
      }
    }
    for (int u = 0; u < own.channels; ++u) {
      const int64_t plane = static_cast<int64_t>(tile.image) * sizes.channels + own.channel + u * own.step;
      const int64_t row = plane * sizes.height + tile.y + own.y;
      out[row * sizes.width + tile.x + own.x] = Number<T>::narrow(sum[u]);
    }
  }
}

// Gradient to the features: blocks over tiles (x), groups of channels (y) and images (z).
template <typename T, int kThreads, typename Block>
PRROI_DEVICE void backward_features_block(const Sizes& sizes, const Tiles& tiles, const T* __restrict__ grad,
                                          const AccOf<T>* __restrict__ rois, T* __restrict__ out,
                                          GatherShared<AccOf<T>, kThreads>& shared, const Block& block) {
  const int64_t count = static_cast<int64_t>(tiles.tiles_y) * tiles.tiles_x;
  for (int64_t image = block.z(); image < sizes.images; image += block.grid_z()) {
    for (int64_t index = block.x(); index < count; index += block.grid_x()) {
      Tile tile;
      tile.image = static_cast<int>(image);
      tile.y = static_cast<int>(index) / tiles.tiles_x * tiles.tile_height;
      tile.x = static_cast<int>(index) % tiles.tiles_x * tiles.tile_width;
      tile.height = least_of(tiles.tile_height, sizes.height - tile.y);
      tile.width = least_of(tiles.tile_width, sizes.width - tile.x);
      gather_tile<T>(sizes, tiles, tile, grad, rois, out, shared, block);
    }
  }
}

}  // namespace prroi
