// Runs the emulated kernels over unkind sizes and boxes, for a sanitizer to watch. Values are checked elsewhere.

#include <cmath>
#include <cstdio>
#include <random>

#include "emulation.h"

namespace {

// Boxes of all kinds: ordinary, tiny, huge, outside, on whole pixels, reversed, empty, not finite, of no image.
template <typename Acc>
std::vector<Acc> make_rois(const prroi::Sizes& sizes, std::mt19937& random) {
  std::uniform_real_distribution<double> unit(0, 1);
  const double width = sizes.width / sizes.scale, height = sizes.height / sizes.scale;
  std::vector<Acc> rois;
  for (int r = 0; r < sizes.rois; ++r) {
    double image = static_cast<int>(unit(random) * sizes.images);
    double x = (unit(random) * 1.4 - 0.2) * width, y = (unit(random) * 1.4 - 0.2) * height;
    double w = unit(random) * width, h = unit(random) * height;
    switch (r % 12) {
      case 3: w = h = 1e-6; break;
      case 4: w = h = 1e6; x = y = -5e5; break;
      case 5: x = -1e9; y = 1e9; break;
      case 6: x = std::round(x); y = std::round(y); w = std::ceil(w); h = std::ceil(h); break;
      case 7: w = -w; break;
      case 8: h = 0; break;
      case 9: image = r % 24 == 9 ? -1 : sizes.images; break;
      case 10: (r % 24 == 10 ? x : image) = std::nan(""); break;
      case 11: w = r % 24 == 11 ? INFINITY : 1e38; break;
    }
    for (double value : {image, x, y, x + w, y + h}) rois.push_back(static_cast<Acc>(value));
  }
  return rois;
}

template <typename T>
void run(const prroi::Sizes& sizes, const Launch& launch, std::mt19937& random) {
  using Acc = prroi::AccOf<T>;
  std::normal_distribution<float> normal;
  const auto fill = [&](size_t count) {
    std::vector<T> values(count);
    for (T& value : values) value = prroi::Number<T>::narrow(normal(random));
    return values;
  };
  const size_t cells = static_cast<size_t>(sizes.images) * sizes.channels * sizes.height * sizes.width;
  const size_t bins = static_cast<size_t>(sizes.rois) * sizes.channels * sizes.bins_y * sizes.bins_x;
  const auto rois = make_rois<Acc>(sizes, random);
  const auto features = fill(cells), grad = fill(bins);
  std::vector<T> out(bins), grad_features(cells);
  std::vector<Acc> grad_rois(static_cast<size_t>(sizes.rois) * 5);
  emulate_pool(sizes, launch, features.data(), rois.data(), out.data());
  emulate_backward_features(sizes, launch, grad.data(), rois.data(), grad_features.data());
  emulate_backward_rois(sizes, launch, grad.data(), features.data(), rois.data(), grad_rois.data());
}

}  // namespace

int main() {
  const prroi::Sizes cases[] = {
      {1, 3, 7, 9, 13, 3, 3, 0.25},  {3, 5, 10, 6, 25, 2, 4, 1.0},  {2, 1, 1, 30, 12, 1, 1, 0.5},
      {1, 2, 5, 5, 12, 40, 35, 1.0}, {0, 2, 4, 4, 3, 2, 2, 1.0},    {2, 0, 4, 4, 3, 2, 2, 1.0},
      {2, 2, 4, 4, 0, 2, 2, 1.0},    {1, 2, 0, 4, 12, 2, 2, 1.0},   {1, 2, 12, 12, 90, 3, 2, 1.0},
  };
  const Launch launches[] = {{4, 1000, {100, 100, 100}}, {7, 1, {2, 1, 1}}, {16, 8, {3, 2, 2}}};
  std::mt19937 random(0);
  for (const auto& sizes : cases)
    for (const auto& launch : launches) {
      run<float>(sizes, launch, random);
      run<double>(sizes, launch, random);
      run<Brain>(sizes, launch, random);
    }
  std::puts("done");
  return 0;
}
