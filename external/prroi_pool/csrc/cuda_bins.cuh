// What the CUDA kernels share: sizes, reading a box, and the weights of a bin in a form whose size does not depend on
// the size of the bin. Only the edges are computed in double, by a few threads.
#pragma once

#include <cstdint>

#include "hat.h"

#if defined(__CUDACC__)
#define PRROI_DEVICE __device__ __forceinline__
#define PRROI_UNROLL _Pragma("unroll")
#else
#define PRROI_DEVICE inline
#define PRROI_UNROLL
#endif

namespace prroi {

// Conversions of a stored type T to and from the type `Acc` that sums are kept in. Specialised where T is known.
template <typename T>
struct Number;

template <>
struct Number<float> {
  using Acc = float;
  static PRROI_DEVICE float widen(float value) { return value; }
  static PRROI_DEVICE float narrow(float value) { return value; }
};

template <>
struct Number<double> {
  using Acc = double;
  static PRROI_DEVICE double widen(double value) { return value; }
  static PRROI_DEVICE double narrow(double value) { return value; }
};

template <typename T>
using AccOf = typename Number<T>::Acc;

struct Sizes {
  int images, channels, height, width;
  int rois, bins_y, bins_x;
  double scale;
};

// Bins per axis whose weights a block holds at a time.
constexpr int kTileBins = 32;

PRROI_HD int ceil_div(int a, int b) { return a / b + (a % b != 0); }
PRROI_HD int least_of(int a, int b) { return a < b ? a : b; }

template <typename Acc>
PRROI_HD bool is_finite(Acc value) {
  return value - value == 0;
}

// The image of a box; -1 if the box cannot be pooled: an image that is not there, or a coordinate that is not finite.
template <typename Acc>
PRROI_DEVICE int image_of(const Acc* __restrict__ rois, int64_t roi, const Sizes& sizes) {
  const Acc* value = rois + roi * 5;
  const Acc index = value[0], beyond = 2147483648.0;  // int's
  const bool finite = is_finite(value[1]) && is_finite(value[2]) && is_finite(value[3]) && is_finite(value[4]);
  if (!(finite && index >= 0 && index < beyond)) return -1;
  const int image = static_cast<int>(index);
  return image < sizes.images && static_cast<Acc>(image) == index ? image : -1;
}

// A box along one axis, in cells: bins of `size` from `base + low` on. `base` is a whole number near the first edge,
// so that a tiny box keeps its digits.
struct Side {
  double base, low, size;
};

template <typename Acc>
PRROI_DEVICE Side read_side(const Acc* __restrict__ rois, int64_t roi, bool in_y, const Sizes& sizes) {
  const Acc* value = rois + roi * 5 + (in_y ? 2 : 1);
  const Axis axis = make_axis(value[0], value[2], sizes.scale, in_y ? sizes.bins_y : sizes.bins_x);
  const double base = rint(clamp(axis.low, -1e9, 1e9));
  return {base, axis.low - base, axis.size};
}

// The edge of a bin: a cell, and what lies between its centre and the edge, at most half a cell. Hat functions have
// their kinks at the centres of cells: near them, where digits could be lost, the offset is small and has them all. So
// the rest is done in the type of the sums; GPUs for games are slow in double. An edge more than a cell off the map
// is moved to where the last hat has ended.
template <typename Acc>
struct Edge {
  int cell;
  Acc offset;

  PRROI_DEVICE int floor() const { return cell - (offset < 0); }
  PRROI_DEVICE int ceil() const { return cell + (offset > 0); }
};

template <typename Acc>
PRROI_DEVICE Edge<Acc> edge_of(const Side& side, int k, int cells) {
  const double at = clamp(side.low + side.size * k, -1 - side.base, cells - side.base);
  const double nearest = rint(at);
  return {static_cast<int>(side.base + nearest), static_cast<Acc>(at - nearest)};
}

// Where an edge lies on the hat function of a cell: before it (-1), on it (0), behind it (1).
template <typename Acc>
struct OnHat {
  int where;
  Acc t, hat;  // the edge's distance from the centre, and the height there

  PRROI_DEVICE OnHat(const Edge<Acc>& edge, int cell) : where(0), t(0), hat(0) {
    const int distance = edge.cell - cell;
    const Acc size = edge.offset < 0 ? -edge.offset : edge.offset;
    if (distance < -1 || (distance == -1 && edge.offset <= 0)) {
      where = -1;
    } else if (distance > 1 || (distance == 1 && edge.offset >= 0)) {
      where = 1;
    } else {
      t = distance + edge.offset;
      hat = distance == 0 ? 1 - size : size;
    }
  }
  // Integrals of the hat function up to the edge, and from the edge on.
  PRROI_DEVICE Acc before() const { return where < 0 ? Acc(0) : where > 0 ? Acc(1) : t < 0 ? half() : 1 - half(); }
  PRROI_DEVICE Acc behind() const { return where < 0 ? Acc(1) : where > 0 ? Acc(0) : t < 0 ? 1 - half() : half(); }

 private:
  PRROI_DEVICE Acc half() const { return Acc(0.5) * hat * hat; }
};

// Mean of a cell's hat function over a bin that is not empty. Nothing like a difference of integrals is divided by the
// size of a bin that lies within the hat.
template <typename Acc>
PRROI_DEVICE Acc weight_between(const OnHat<Acc>& first, const OnHat<Acc>& last, Acc size) {
  if (last.where < 0 || first.where > 0) return 0;
  if (first.where < 0) return last.before() / size;
  if (last.where > 0) return first.behind() / size;
  if (first.t < 0 && last.t > 0) return 1 - Acc(0.5) * (first.t * (first.t / size) + last.t * (last.t / size));
  return Acc(0.5) * (first.hat + last.hat);
}

// Derivatives of weight_between in the two edges.
template <typename Acc>
PRROI_DEVICE void slopes_between(const OnHat<Acc>& first, const OnHat<Acc>& last, Acc size, Acc* in_first,
                                 Acc* in_last) {
  if (first.where == 0 && last.where == 0) {
    const Acc a = first.t / size, b = last.t / size;
    const Acc squares = Acc(0.5) * (a * a - b * b), slope = first.t + last.t < 0 ? Acc(0.5) : Acc(-0.5);
    const bool over_the_top = first.t < 0 && last.t > 0;
    *in_first = over_the_top ? squares - a * b : slope;
    *in_last = over_the_top ? squares + a * b : slope;
  } else {
    const Acc weight = weight_between(first, last, size);
    *in_first = (weight - first.hat) / size;
    *in_last = (last.hat - weight) / size;
  }
}

// The cells that a bin touches lie side by side, and all but the outer two on each side are covered whole and weigh
// the same. So five numbers hold the weights of a bin of any size. Slot 0 and 1: the first two cells, 2 and 3: the last
// two, 4: all between. A slot that a small bin does not need is -1.
constexpr int kSlots = 5, kMiddle = 4;

PRROI_HD int slot_position(int slot, int count) {
  if (slot < 2) return slot < count ? slot : -1;
  if (slot == 3) return count > 2 ? count - 1 : -1;
  if (slot == 2) return count > 3 ? count - 2 : -1;
  return count > 4 ? 2 : -1;
}

// The slot that holds the weight of the cell at `position`, one of 0 .. count - 1.
PRROI_HD int slot_of(int position, int count) {
  if (position < 2) return position;
  return position < count - 2 ? kMiddle : position - count + 4;
}

// One bin along one axis: cells [first, first + count), and for every slot the weight (kind 0) and, if kKinds is 3,
// the weight's derivatives in the low and the high coordinate of the box, in image units (kinds 1 and 2).
template <typename Acc, int kKinds>
struct Bin {
  int first, count;
  Acc weight[kKinds][kSlots];
};

// What bins along one axis are made of: their edges, their size in cells, 0 if they are empty.
template <typename Acc, int kEdges>
struct Edges {
  Edge<Acc> edge[kEdges];
  Acc size;
};

// One slot of bin `k` of `bins` along an axis, which lies between edges[0] and edges[1].
template <typename Acc, int kKinds>
PRROI_DEVICE void fill_slot(const Edge<Acc>* edges, Acc size, int k, int bins, int cells, Acc scale, int slot,
                            Bin<Acc, kKinds>& bin) {
  const int begin = edges[0].floor(), first = begin < 0 ? 0 : begin;
  const int last = least_of(edges[1].ceil(), cells - 1);
  const int count = size > 0 ? last - first + 1 : 0;
  const int position = slot_position(slot, count);
  Acc weight[3] = {0, 0, 0};
  if (position >= 0) {
    const OnHat<Acc> from(edges[0], first + position), to(edges[1], first + position);
    weight[0] = weight_between(from, to, size);
    if constexpr (kKinds == 3) {
      // The edges k and k + 1 divide the distances of the box's coordinates.
      const Acc share = static_cast<Acc>(k) / bins, next = static_cast<Acc>(k + 1) / bins;
      Acc in_first, in_last;
      slopes_between(from, to, size, &in_first, &in_last);
      weight[1] = scale * (in_first * (1 - share) + in_last * (1 - next));
      weight[2] = scale * (in_first * share + in_last * next);
    }
  }
  PRROI_UNROLL
  for (int kind = 0; kind < kKinds; ++kind) bin.weight[kind][slot] = weight[kind];
  if (slot == 0) {
    bin.first = first;
    bin.count = count;
  }
}

// Adds a row of cells to what a bin has so far, given the row's sum for every kind of weight in x. One kind: the mean.
// Three: the derivatives in x0, y0, x1, y1, in which the weights of one axis at a time are replaced by their slopes.
template <typename Acc>
PRROI_DEVICE void add_row(const Bin<Acc, 1>& y, int slot, const Acc (&row)[1], Acc (&sum)[1]) {
  sum[0] += y.weight[0][slot] * row[0];
}

template <typename Acc>
PRROI_DEVICE void add_row(const Bin<Acc, 3>& y, int slot, const Acc (&row)[3], Acc (&sum)[4]) {
  sum[0] += y.weight[0][slot] * row[1];
  sum[1] += y.weight[1][slot] * row[0];
  sum[2] += y.weight[0][slot] * row[2];
  sum[3] += y.weight[2][slot] * row[0];
}

// One column of bins on one plane of the map. A bin has rows from floor(edge) to ceil(next edge), cut at the map's end,
// so it shares at most two, its first ones, with the bin above it, whose last ones they are. Their sums are kept, and
// going down a column reads every cell once.
template <typename T, int kKinds>
struct Column {
  using Acc = AccOf<T>;

  const T* plane;
  int width;
  Bin<Acc, kKinds> x;
  Acc kept[2][kKinds];  // of the rows newest - 1 and newest
  int newest;

  PRROI_DEVICE Column(const T* __restrict__ map, int cells, const Bin<Acc, kKinds>& bin)
      : plane(map + bin.first), width(cells), x(bin), kept{}, newest(-2) {}

  PRROI_DEVICE const T* row_at(int row) const { return plane + static_cast<int64_t>(row) * width; }

  PRROI_DEVICE void read(const T* __restrict__ row, Acc (&cell)[kMiddle]) const {
    const T* right = row + (x.count - 1);
    cell[0] = Number<T>::widen(row[0]);
    cell[1] = x.count > 1 ? Number<T>::widen(row[1]) : Acc(0);
    cell[2] = x.count > 3 ? Number<T>::widen(right[-1]) : Acc(0);
    cell[3] = x.count > 2 ? Number<T>::widen(right[0]) : Acc(0);
  }

  PRROI_DEVICE void finish(const T* __restrict__ row, const Acc (&cell)[kMiddle], Acc (&sums)[kKinds]) const {
    Acc middle = 0;
    for (int q = 2; q < x.count - 2; ++q) middle += Number<T>::widen(row[q]);
    PRROI_UNROLL
    for (int kind = 0; kind < kKinds; ++kind) {
      sums[kind] = middle * x.weight[kind][kMiddle];
      PRROI_UNROLL
      for (int s = 0; s < kMiddle; ++s) sums[kind] += cell[s] * x.weight[kind][s];
    }
  }

  // A bin on its own: four rows, all there is of a bin of up to three cells, are read before anything is added, so
  // that the reads wait for the memory together.
  template <int kSums>
  PRROI_DEVICE void lone_bin(const Bin<Acc, kKinds>& y, Acc (&sum)[kSums]) const {
    constexpr int kRows = 4;
    for (int begin = 0; x.count > 0 && begin < y.count; begin += kRows) {
      Acc cell[kRows][kMiddle];
      PRROI_UNROLL
      for (int s = 0; s < kRows; ++s) read(row_at(y.first + least_of(begin + s, y.count - 1)), cell[s]);
      PRROI_UNROLL
      for (int s = 0; s < kRows; ++s) {
        if (begin + s >= y.count) break;
        Acc row[kKinds];
        finish(row_at(y.first + begin + s), cell[s], row);
        add_row(y, slot_of(begin + s, y.count), row, sum);
      }
    }
  }

  // The next bin of the column, downwards.
  template <int kSums>
  PRROI_DEVICE void next_bin(const Bin<Acc, kKinds>& y, Acc (&sum)[kSums]) {
    if (x.count == 0 || y.count == 0) return;
    const int common = newest - y.first + 1;
    int position = 0;
    if (common == 2) add_row(y, slot_of(position++, y.count), kept[0], sum);
    if (common > 0) add_row(y, slot_of(position++, y.count), kept[1], sum);
    for (; position < y.count; ++position) {
      Acc cell[kMiddle];
      const T* row = row_at(y.first + position);
      read(row, cell);
      PRROI_UNROLL
      for (int kind = 0; kind < kKinds; ++kind) kept[0][kind] = kept[1][kind];
      finish(row, cell, kept[1]);
      add_row(y, slot_of(position, y.count), kept[1], sum);
      newest = y.first + position;
    }
  }
};

}  // namespace prroi
