// What the CUDA kernels share: sizes, reading a box, and the weights of a bin in a form whose size does not depend
// on the size of the bin.
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
PRROI_HD bool is_finite(double value) { return value - value == 0; }

// A box in cells of the map. `image` is -1 for a box that cannot be pooled: an image that is not there, or a
// coordinate that is not finite.
struct Box {
  int image;
  Axis y, x;
};

template <typename Acc>
PRROI_DEVICE int image_of(const Acc* __restrict__ rois, int64_t roi, const Sizes& sizes) {
  const double index = rois[roi * 5];
  return index >= 0 && index < sizes.images && index == floor(index) ? static_cast<int>(index) : -1;
}

template <typename Acc>
PRROI_DEVICE Box read_box(const Acc* __restrict__ rois, int64_t roi, const Sizes& sizes) {
  const Acc* value = rois + roi * 5;
  const double x0 = value[1], y0 = value[2], x1 = value[3], y1 = value[4];
  Box box{image_of(rois, roi, sizes), make_axis(y0, y1, sizes.scale, sizes.bins_y),
          make_axis(x0, x1, sizes.scale, sizes.bins_x)};
  // Sums of what may be infinite: an overflow of the scaled coordinates is as bad as a NaN among the given ones.
  const double all = fabs(x0 * sizes.scale) + fabs(y0 * sizes.scale) + fabs(x1 * sizes.scale) + fabs(y1 * sizes.scale);
  if (!is_finite(all)) box.image = -1;
  return box;
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

// Derivatives of bin_weight(axis, k, i) in the coordinates of the box, whose distances the edges k and k + 1 divide.
PRROI_HD void bin_box_slopes(const Axis& axis, int k, int i, double scale, double* low, double* high) {
  const double first = static_cast<double>(k) / axis.bins, last = static_cast<double>(k + 1) / axis.bins;
  double in_first, in_last;
  bin_edge_slopes(axis, k, i, &in_first, &in_last);
  *low = scale * (in_first * (1 - first) + in_last * (1 - last));
  *high = scale * (in_first * first + in_last * last);
}

template <typename Acc, int kKinds>
PRROI_DEVICE void fill_slot(const Axis& axis, int k, int cells, double scale, int slot, Bin<Acc, kKinds>& bin) {
  int first = 0, last = -1;
  if (axis.size > 0) touched_cells(axis.edge(k), axis.edge(k + 1), cells, &first, &last);
  const int count = last - first + 1;  // 0 if none
  const int position = slot_position(slot, count);
  double weight[3] = {0, 0, 0};
  if (position >= 0) {
    weight[0] = bin_weight(axis, k, first + position);
    if (kKinds == 3) bin_box_slopes(axis, k, first + position, scale, &weight[1], &weight[2]);
  }
  PRROI_UNROLL
  for (int kind = 0; kind < kKinds; ++kind) bin.weight[kind][slot] = static_cast<Acc>(weight[kind]);
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
