// Precise RoI pooling on the CPU.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "hat.h"

namespace {

using prroi::Axis;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// The cells [first, first + cells) of one axis that a box touches, and the weight of each of them in every bin.
struct Weights {
  int first = 0;
  int cells = 0;
  Axis axis{0, 0, 1};
  std::vector<double> value;

  Weights() = default;
  Weights(double low, double high, double scale, int bins, int pixels)
      : axis(prroi::make_axis(low, high, scale, bins)) {
    int last = -1;
    if (axis.size > 0) prroi::touched_cells(axis.low, axis.edge(bins), pixels, &first, &last);
    cells = std::max(0, last - first + 1);
    value.resize(static_cast<size_t>(bins) * cells);
    for (int k = 0; k < bins; ++k)
      for (int i = 0; i < cells; ++i) value[static_cast<size_t>(k) * cells + i] = prroi::bin_weight(axis, k, first + i);
  }
  double at(int bin, int i) const { return value[static_cast<size_t>(bin) * cells + i]; }
  // Derivatives of at(bin, i) in the lower and the upper edge of the box.
  void slopes(int bin, int i, double* low, double* high) const {
    const double begin = prroi::hat(axis.edge(bin) - (first + i)), end = prroi::hat(axis.edge(bin + 1) - (first + i));
    const double weight = at(bin, i), share = static_cast<double>(bin) / axis.bins, next = share + 1.0 / axis.bins;
    *low = ((end - weight) * (1 - next) - (begin - weight) * (1 - share)) / axis.size;
    *high = ((end - weight) * next - (begin - weight) * share) / axis.size;
  }
};

struct Roi {
  int64_t image;
  Weights x, y;
};

template <typename T>
std::vector<Roi> read_rois(const Tensor& rois, int64_t images, int64_t height, int64_t width, int64_t ph, int64_t pw,
                           double scale) {
  const T* data = rois.const_data_ptr<T>();
  std::vector<Roi> result(rois.size(0));
  for (size_t r = 0; r < result.size(); ++r, data += 5) {
    for (int k = 0; k < 5; ++k)
      STD_TORCH_CHECK(std::isfinite(data[k]), "rois holds NaN or infinite values: check the boxes before pooling");
    STD_TORCH_CHECK(data[0] >= 0 && data[0] < images && data[0] == std::floor(data[0]),
                    "rois[:, 0] holds the batch index ", data[0], ", but features has ", images, " images: use 0 .. ",
                    images - 1);
    result[r] = {static_cast<int64_t>(data[0]),
                 Weights(data[1], data[3], scale, static_cast<int>(pw), static_cast<int>(width)),
                 Weights(data[2], data[4], scale, static_cast<int>(ph), static_cast<int>(height))};
  }
  return result;
}

template <typename T>
void forward(const Tensor& features, const Tensor& rois, double scale, Tensor& out) {
  const int64_t channels = features.size(1), height = features.size(2), width = features.size(3);
  const int64_t ph = out.size(2), pw = out.size(3);
  const auto boxes = read_rois<T>(rois, features.size(0), height, width, ph, pw, scale);
  const T* map = features.const_data_ptr<T>();
  T* result = out.mutable_data_ptr<T>();
  torch::stable::parallel_for(0, out.size(0) * channels, 16, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const Roi& roi = boxes[n / channels];
      const T* plane = map + (roi.image * channels + n % channels) * height * width;
      for (int64_t p = 0; p < ph; ++p)
        for (int64_t q = 0; q < pw; ++q) {
          double sum = 0;
          for (int i = 0; i < roi.y.cells; ++i)
            for (int j = 0; j < roi.x.cells; ++j)
              sum += roi.y.at(p, i) * roi.x.at(q, j) * plane[(roi.y.first + i) * width + roi.x.first + j];
          result[(n * ph + p) * pw + q] = static_cast<T>(sum);
        }
    }
  });
}

template <typename T>
void backward_features(const Tensor& grad, const Tensor& rois, double scale, Tensor& out) {
  const int64_t images = out.size(0), channels = out.size(1), height = out.size(2), width = out.size(3);
  const int64_t ph = grad.size(2), pw = grad.size(3);
  const auto boxes = read_rois<T>(rois, images, height, width, ph, pw, scale);
  const T* g = grad.const_data_ptr<T>();
  T* result = out.mutable_data_ptr<T>();
  torch::stable::parallel_for(0, images * channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      T* plane = result + n * height * width;
      std::fill(plane, plane + height * width, T(0));
      for (size_t r = 0; r < boxes.size(); ++r) {
        const Roi& roi = boxes[r];
        if (roi.image != n / channels) continue;
        for (int64_t p = 0; p < ph; ++p)
          for (int64_t q = 0; q < pw; ++q) {
            const T value = g[((static_cast<int64_t>(r) * channels + n % channels) * ph + p) * pw + q];
            for (int i = 0; i < roi.y.cells; ++i)
              for (int j = 0; j < roi.x.cells; ++j)
                plane[(roi.y.first + i) * width + roi.x.first + j] +=
                    static_cast<T>(roi.y.at(p, i) * roi.x.at(q, j)) * value;
          }
      }
    }
  });
}

template <typename T>
void backward_rois(const Tensor& grad, const Tensor& features, const Tensor& rois, double scale, Tensor& out) {
  const int64_t channels = features.size(1), height = features.size(2), width = features.size(3);
  const int64_t ph = grad.size(2), pw = grad.size(3);
  const auto boxes = read_rois<T>(rois, features.size(0), height, width, ph, pw, scale);
  const T* g = grad.const_data_ptr<T>();
  const T* map = features.const_data_ptr<T>();
  T* result = out.mutable_data_ptr<T>();
  torch::stable::parallel_for(0, rois.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const Roi& roi = boxes[r];
      double sum[4] = {0, 0, 0, 0};
      for (int64_t c = 0; c < channels; ++c) {
        const T* plane = map + (roi.image * channels + c) * height * width;
        for (int64_t p = 0; p < ph; ++p)
          for (int64_t q = 0; q < pw; ++q) {
            const double value = g[((r * channels + c) * ph + p) * pw + q];
            for (int i = 0; i < roi.y.cells; ++i)
              for (int j = 0; j < roi.x.cells; ++j) {
                const double cell = value * plane[(roi.y.first + i) * width + roi.x.first + j];
                double x0, x1, y0, y1;
                roi.x.slopes(q, j, &x0, &x1);
                roi.y.slopes(p, i, &y0, &y1);
                sum[0] += cell * roi.y.at(p, i) * x0;
                sum[1] += cell * roi.x.at(q, j) * y0;
                sum[2] += cell * roi.y.at(p, i) * x1;
                sum[3] += cell * roi.x.at(q, j) * y1;
              }
          }
      }
      result[5 * r] = 0;
      for (int k = 0; k < 4; ++k) result[5 * r + 1 + k] = static_cast<T>(sum[k] * scale);
    }
  });
}

Tensor pool(const Tensor& features, const Tensor& rois, int64_t ph, int64_t pw, double scale) {
  const Tensor maps = torch::stable::contiguous(features), boxes = torch::stable::contiguous(rois);
  Tensor out = torch::stable::new_empty(features, {rois.size(0), features.size(1), ph, pw});
  if (features.scalar_type() == ScalarType::Double)
    forward<double>(maps, boxes, scale, out);
  else
    forward<float>(maps, boxes, scale, out);
  return out;
}

Tensor pool_backward_features(const Tensor& grad, const Tensor& rois, int64_t images, int64_t height, int64_t width,
                              double scale) {
  const Tensor values = torch::stable::contiguous(grad), boxes = torch::stable::contiguous(rois);
  Tensor out = torch::stable::new_empty(grad, {images, grad.size(1), height, width});
  if (grad.scalar_type() == ScalarType::Double)
    backward_features<double>(values, boxes, scale, out);
  else
    backward_features<float>(values, boxes, scale, out);
  return out;
}

Tensor pool_backward_rois(const Tensor& grad, const Tensor& features, const Tensor& rois, double scale) {
  const Tensor values = torch::stable::contiguous(grad), maps = torch::stable::contiguous(features);
  const Tensor boxes = torch::stable::contiguous(rois);
  Tensor out = torch::stable::new_empty(rois, {rois.size(0), 5});
  if (grad.scalar_type() == ScalarType::Double)
    backward_rois<double>(values, maps, boxes, scale, out);
  else
    backward_rois<float>(values, maps, boxes, scale, out);
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(prroi_pool, CPU, m) {
  m.impl("pool", TORCH_BOX(&pool));
  m.impl("pool_backward_features", TORCH_BOX(&pool_backward_features));
  m.impl("pool_backward_rois", TORCH_BOX(&pool_backward_rois));
}
