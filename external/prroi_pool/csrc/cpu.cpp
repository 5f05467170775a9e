// The CPU operators of Precise RoI pooling.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "cpu_boxes.h"
#include "cpu_kernels.h"
#include "cpu_lanes.h"

namespace {

using prroi::BackwardFeatures;
using prroi::BackwardRois;
using prroi::Boxes;
using prroi::divide_up;
using prroi::Forward;
using prroi::kBlock;
using prroi::kGroup;
using prroi::kPadding;
using prroi::Maps;
using prroi::Sides;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

constexpr int64_t kGrain = 1 << 14;  // vector operations below which a second thread does not pay

template <typename T, typename Kernel>
void run_parallel(const Kernel& kernel, int64_t units, int64_t operations) {
  const int64_t grain = std::max<int64_t>(1, kGrain * units / std::max<int64_t>(operations, 1));
  torch::stable::parallel_for(0, units, grain, [&](int64_t begin, int64_t end) { prroi::run<T>(kernel, begin, end); });
}

// About how many vector operations it takes to go over the touched cells of all boxes.
template <typename T>
int64_t operations_for(const Boxes<T>& boxes, int64_t channels) {
  const int64_t count = std::max<int64_t>(boxes.count(), 1);
  return channels * boxes.y.touches() * (boxes.x.touches() / count / kPadding<T> + 1);
}

int size_of(const Tensor& tensor, int dim) {
  STD_TORCH_CHECK(tensor.size(dim) <= std::numeric_limits<int>::max(), "a map or bins of ", tensor.size(dim),
                  " values in one direction are too many");
  return static_cast<int>(tensor.size(dim));
}

template <typename T>
Boxes<T> read_boxes(const Tensor& rois, const Tensor& maps, const Tensor& pooled, double scale, int bin_stride,
                    bool with_slopes) {
  Sides<T> x(size_of(pooled, 3), size_of(maps, 3), kPadding<T>, bin_stride), y(size_of(pooled, 2), size_of(maps, 2), 1);
  return Boxes<T>(rois.const_data_ptr<T>(), rois.size(0), maps.size(0), scale, std::move(x), std::move(y), with_slopes);
}

template <typename T>
void pool_as(const Tensor& features, const Tensor& rois, double scale, Tensor& out) {
  const Maps<T> maps(features);
  const int bin_stride = std::max(size_of(out, 3), kPadding<T>);
  const Boxes<T> boxes = read_boxes<T>(rois, features, out, scale, bin_stride, false);
  const Forward<T> kernel{maps, boxes, out.size(2), out.size(3), bin_stride, out.mutable_data_ptr<T>()};
  const int64_t units = divide_up(maps.channels, kGroup) * static_cast<int64_t>(boxes.strips.size());
  run_parallel<T>(kernel, units, 2 * operations_for(boxes, maps.channels));
}

template <typename T>
void pool_backward_features_as(const Tensor& grad, const Tensor& rois, double scale, Tensor& out) {
  const int64_t images = out.size(0), channels = out.size(1);
  const Boxes<T> boxes = read_boxes<T>(rois, out, grad, scale, 0, false);
  std::vector<std::vector<int64_t>> strips_of(images);
  for (size_t s = 0; s < boxes.strips.size(); ++s) strips_of[boxes.image[boxes.strips[s].begin]].push_back(s);
  const BackwardFeatures<T> kernel{grad.const_data_ptr<T>(), boxes,        strips_of,    channels,
                                   out.size(2),              out.size(3),  grad.size(2), grad.size(3),
                                   out.mutable_data_ptr<T>()};
  const int64_t operations = 2 * operations_for(boxes, channels) + out.numel() / kPadding<T>;
  run_parallel<T>(kernel, images * divide_up(channels, kGroup), operations);
}

template <typename T>
void pool_backward_rois_as(const Tensor& grad, const Tensor& features, const Tensor& rois, double scale, Tensor& out) {
  const Maps<T> maps(features);
  const Boxes<T> boxes = read_boxes<T>(rois, features, grad, scale, 0, true);
  const int64_t blocks = divide_up(maps.channels, kBlock), count = boxes.count();
  std::vector<double> partial(blocks * count * 4);
  const BackwardRois<T> kernel{grad.const_data_ptr<T>(), maps, boxes, grad.size(2), grad.size(3), partial.data()};
  run_parallel<T>(kernel, blocks * count, 4 * operations_for(boxes, maps.channels));
  T* result = out.mutable_data_ptr<T>();
  for (int64_t r = 0; r < count; ++r) {
    result[5 * r] = 0;
    for (int k = 0; k < 4; ++k) {
      double sum = 0;
      for (int64_t b = 0; b < blocks; ++b) sum += partial[(b * count + r) * 4 + k];
      result[5 * r + 1 + k] = static_cast<T>(sum * scale);
    }
  }
}

Tensor packed(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

void check(const Tensor& maps, const char* name, const Tensor& rois) {
  STD_TORCH_CHECK(maps.dim() == 4, name, " must have four dimensions, not ", maps.dim());
  STD_TORCH_CHECK(rois.dim() == 2 && rois.size(1) == 5, "rois must be (R, 5)");
  const ScalarType type = maps.scalar_type();
  STD_TORCH_CHECK(type == ScalarType::Float || type == ScalarType::Double, name, " must be float32 or float64");
  STD_TORCH_CHECK(rois.scalar_type() == type, "rois must have the dtype of ", name);
}

void check_grad(const Tensor& grad, const Tensor& rois, int64_t channels) {
  STD_TORCH_CHECK(grad.size(0) == rois.size(0) && grad.size(1) == channels, "grad must be (R, C, ph, pw)");
  STD_TORCH_CHECK(grad.size(2) > 0 && grad.size(3) > 0, "grad must have at least one bin in each direction");
}

Tensor pool(const Tensor& features, const Tensor& rois, int64_t ph, int64_t pw, double scale) {
  check(features, "features", rois);
  STD_TORCH_CHECK(ph > 0 && pw > 0, "pooled_height and pooled_width must be at least 1");
  Tensor out = torch::stable::new_empty(features, {rois.size(0), features.size(1), ph, pw});
  const auto run = features.scalar_type() == ScalarType::Double ? pool_as<double> : pool_as<float>;
  run(packed(features), packed(rois), scale, out);
  return out;
}

Tensor pool_backward_features(const Tensor& grad, const Tensor& rois, int64_t images, int64_t height, int64_t width,
                              double scale) {
  check(grad, "grad", rois);
  check_grad(grad, rois, grad.size(1));
  Tensor out = torch::stable::new_empty(grad, {images, grad.size(1), height, width});
  const auto run =
      grad.scalar_type() == ScalarType::Double ? pool_backward_features_as<double> : pool_backward_features_as<float>;
  run(packed(grad), packed(rois), scale, out);
  return out;
}

Tensor pool_backward_rois(const Tensor& grad, const Tensor& features, const Tensor& rois, double scale) {
  check(grad, "grad", rois);
  check(features, "features", rois);
  check_grad(grad, rois, features.size(1));
  Tensor out = torch::stable::new_empty(rois, {rois.size(0), 5});
  const auto run =
      grad.scalar_type() == ScalarType::Double ? pool_backward_rois_as<double> : pool_backward_rois_as<float>;
  run(packed(grad), packed(features), packed(rois), scale, out);
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(prroi_pool, CPU, m) {
  m.impl("pool", TORCH_BOX(&pool));
  m.impl("pool_backward_features", TORCH_BOX(&pool_backward_features));
  m.impl("pool_backward_rois", TORCH_BOX(&pool_backward_rois));
}
