// The emulated operators for ctypes.

#include "emulation.h"

#define PRROI_EMULATE(suffix, T)                                                                                     \
  extern "C" void pool_##suffix(const prroi::Sizes* sizes, const Launch* launch, const T* features,                  \
                                const prroi::AccOf<T>* rois, T* out) {                                               \
    emulate_pool(*sizes, *launch, features, rois, out);                                                              \
  }                                                                                                                  \
  extern "C" void backward_features_##suffix(const prroi::Sizes* sizes, const Launch* launch, const T* grad,         \
                                             const prroi::AccOf<T>* rois, T* out) {                                  \
    emulate_backward_features(*sizes, *launch, grad, rois, out);                                                     \
  }                                                                                                                  \
  extern "C" void backward_rois_##suffix(const prroi::Sizes* sizes, const Launch* launch, const T* grad,             \
                                         const T* features, const prroi::AccOf<T>* rois, prroi::AccOf<T>* out) {     \
    emulate_backward_rois(*sizes, *launch, grad, features, rois, out);                                               \
  }

PRROI_EMULATE(float32, float)
PRROI_EMULATE(float64, double)
PRROI_EMULATE(bfloat16, Brain)
