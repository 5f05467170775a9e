// What the CPU kernels know of the boxes: which cells of the map each bin touches, and how much each cell counts.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "hat.h"

namespace prroi {

// Cells from begin to end - 1.
struct Range {
  int begin;
  int end;
};

// One box along one axis. Its cells are counted from the cell `first` of the map.
template <typename T>
struct Side {
  int64_t first;
  int64_t cells;
  const Range* touched;  // by each bin, in the order of the bins
  const T* weights;      // mean of every cell's hat function over every bin
  const double* slopes;  // the derivatives of each weight in the lower and in the upper edge of the box
};

// All boxes along one axis. Boxes with the same edges, of which a grid has many, share their weights.
template <typename T>
class Sides {
 public:
  // Cells are padded to a multiple of `padding`. What is padded has the weight 0, and lies in the map if that has as
  // many cells, else beyond its last one. Weights lie as [bin][cell], or, where `bin_stride` is not 0, as [cell][bin]
  // with so many values per cell.
  Sides(int bins, int pixels, int padding, int bin_stride = 0)
      : bins_(bins), pixels_(pixels), padding_(padding), bin_stride_(bin_stride) {}

  void add(double low, double high, double scale) {
    const auto known = index_of_.emplace(std::make_pair(low, high), static_cast<int64_t>(boxes_.size()));
    if (known.second) add_new(low, high, scale);
    index_.push_back(known.first->second);
    touches_ += boxes_[index_.back()].touches;
  }

  void compute_weights(bool with_slopes) {
    weights_.assign(size_, T(0));
    slopes_.assign(with_slopes ? 2 * size_ : 0, 0.0);
    const int64_t count = static_cast<int64_t>(boxes_.size());
    torch::stable::parallel_for(0, count, 256 / bins_ + 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) compute_weights_of(b);
    });
  }

  Side<T> side(int64_t r) const {
    const int64_t b = index_[r];
    const Box& box = boxes_[b];
    return {box.first, box.cells, &touched_[b * bins_], weights_.data() + box.offset, slopes_.data() + 2 * box.offset};
  }

  int64_t padding() const { return padding_; }
  int64_t pixels() const { return pixels_; }

  // How many cells the bins of all boxes touch, one by one: a measure of the work.
  int64_t touches() const { return touches_; }

 private:
  struct Box {
    Axis axis;
    int first;
    int cells;
    int64_t offset;
    int64_t touches;
  };

  void add_new(double low, double high, double scale) {
    const Axis axis = make_axis(low, high, scale, bins_);
    int begin = 0, last = -1;
    if (axis.size > 0) touched_cells(axis.low, axis.edge(bins_), pixels_, &begin, &last);
    const int cells = (std::max(0, last + 1 - begin) + padding_ - 1) / padding_ * padding_;
    const int first = std::max(0, std::min(begin, pixels_ - cells));
    boxes_.push_back({axis, first, cells, size_, 0});
    size_ += static_cast<int64_t>(cells) * std::max(bins_, bin_stride_);
    for (int k = 0; k < bins_; ++k) {
      int from = 0, to = -1;
      if (cells > 0) touched_cells(axis.edge(k), axis.edge(k + 1), pixels_, &from, &to);
      from = std::min(std::max(from - first, 0), cells);
      to = std::max(from, std::min(to + 1 - first, cells));
      touched_.push_back({from, to});
      boxes_.back().touches += to - from;
    }
  }

  void compute_weights_of(int64_t b) {
    const Box& box = boxes_[b];
    for (int k = 0; k < bins_; ++k) {
      const Range range = touched_[b * bins_ + k];
      const double lower = static_cast<double>(k) / bins_, upper = static_cast<double>(k + 1) / bins_;
      for (int i = range.begin; i < range.end; ++i) {
        const int cell = box.first + i;
        const int64_t in_box = bin_stride_ ? static_cast<int64_t>(i) * bin_stride_ + k
                                           : static_cast<int64_t>(k) * box.cells + i;
        const int64_t at = box.offset + in_box;
        weights_[at] = static_cast<T>(bin_weight(box.axis, k, cell));
        if (slopes_.empty()) continue;
        double first, last;  // the edges of the bin, which the edges of the box move in proportion
        bin_edge_slopes(box.axis, k, cell, &first, &last);
        slopes_[2 * at] = first * (1 - lower) + last * (1 - upper);
        slopes_[2 * at + 1] = first * lower + last * upper;
      }
    }
  }

  int bins_, pixels_, padding_, bin_stride_;
  int64_t size_ = 0, touches_ = 0;
  std::map<std::pair<double, double>, int64_t> index_of_;
  std::vector<int64_t> index_;  // into boxes_
  std::vector<Box> boxes_;
  std::vector<Range> touched_;
  std::vector<T> weights_;
  std::vector<double> slopes_;
};

// Consecutive boxes of one image with the same rows, such as a row of a grid: their rows are averaged together.
struct Strip {
  int64_t begin, end;      // boxes
  int64_t first, cells;    // columns of the map that hold those of all its boxes, padded like theirs
  int64_t cells_of_boxes;  // sum of the columns of its boxes
};

// The boxes of the operators' argument `rois`, (count, 5) contiguous.
template <typename T>
class Boxes {
 public:
  // Throws if a value is not finite or an image not one of 0 .. images - 1.
  Boxes(const T* rois, int64_t count, int64_t images, double scale, Sides<T> x_sides, Sides<T> y_sides,
        bool with_slopes = false)
      : x(std::move(x_sides)), y(std::move(y_sides)) {
    for (int64_t r = 0; r < count; ++r, rois += 5) {
      check(rois, images);
      image.push_back(static_cast<int64_t>(rois[0]));
      x.add(rois[1], rois[3], scale);
      y.add(rois[2], rois[4], scale);
      add_to_strips(r, rois, rois - 5, x.padding(), x.pixels());
    }
    x.compute_weights(with_slopes);
    y.compute_weights(with_slopes);
  }

  int64_t count() const { return static_cast<int64_t>(image.size()); }

  std::vector<int64_t> image;
  std::vector<Strip> strips;
  Sides<T> x, y;

 private:
  // Joins a box with the strip before it, if it has the same rows and this leaves fewer cells to read.
  void add_to_strips(int64_t r, const T* roi, const T* previous, int64_t padding, int64_t pixels) {
    const Side<T> side = x.side(r);
    const bool same_rows = r > 0 && roi[0] == previous[0] && roi[2] == previous[2] && roi[4] == previous[4];
    if (same_rows) {
      Strip& strip = strips.back();
      const int64_t begin = std::min(strip.first, side.first);
      const int64_t end = std::max(strip.first + strip.cells, side.first + side.cells);
      const int64_t cells = (end - begin + padding - 1) / padding * padding;
      if (cells <= strip.cells_of_boxes + side.cells) {
        strip.end = r + 1;
        strip.first = std::max<int64_t>(0, std::min(begin, pixels - cells));
        strip.cells = cells;
        strip.cells_of_boxes += side.cells;
        return;
      }
    }
    strips.push_back({r, r + 1, side.first, side.cells, side.cells});
  }

  static void check(const T* roi, int64_t images) {
    for (int k = 0; k < 5; ++k)
      if (!std::isfinite(roi[k]))
        throw std::runtime_error("rois holds NaN or infinite values: check the boxes before pooling");
    if (roi[0] >= 0 && roi[0] < images && roi[0] == std::floor(roi[0])) return;
    std::ostringstream message;
    message << "rois[:, 0] holds the batch index " << roi[0] << ", but features has " << images << " images: use 0 .. "
            << images - 1;
    throw std::runtime_error(message.str());
  }
};

}  // namespace prroi
