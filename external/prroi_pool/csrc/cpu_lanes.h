// Short vectors for the CPU kernels, and a way to run a kernel with AVX2 where the processor has it.
#pragma once

#include <cstdint>

namespace prroi {

// What a row of cells is padded to: the widest vector that the kernels are compiled for, 32 bytes.
template <typename T>
constexpr int kPadding = 32 / static_cast<int>(sizeof(T));

// Lanes<T, N> has `lanes += lanes`, `lanes * lanes`, `scalar * lanes` and `lanes[i]`.
#if defined(__GNUC__)
#define PRROI_INLINE inline __attribute__((always_inline))
template <typename T, int N>
struct LanesOf {
  typedef T type __attribute__((vector_size(N * sizeof(T)), aligned(alignof(T)), may_alias));
};
template <typename T, int N>
using Lanes = typename LanesOf<T, N>::type;
#else
#define PRROI_INLINE inline
template <typename T, int N>
struct Lanes {
  T lane[N];
  T operator[](int i) const { return lane[i]; }
  Lanes& operator+=(const Lanes& other) {
    for (int i = 0; i < N; ++i) lane[i] += other.lane[i];
    return *this;
  }
  friend Lanes operator*(Lanes a, const Lanes& b) {
    for (int i = 0; i < N; ++i) a.lane[i] *= b.lane[i];
    return a;
  }
  friend Lanes operator*(T scalar, Lanes b) {
    for (int i = 0; i < N; ++i) b.lane[i] *= scalar;
    return b;
  }
};
#endif

// The N lanes that begin at an address, which need not be aligned.
template <int N, typename T>
PRROI_INLINE Lanes<T, N>& lanes_at(T* address) {
  return *reinterpret_cast<Lanes<T, N>*>(address);
}
template <int N, typename T>
PRROI_INLINE const Lanes<T, N>& lanes_at(const T* address) {
  return *reinterpret_cast<const Lanes<T, N>*>(address);
}

#if defined(__GNUC__) && defined(__x86_64__)
template <typename T, typename Kernel>
__attribute__((target("avx2,fma"))) void run_with_avx2(const Kernel& kernel, int64_t begin, int64_t end) {
  kernel.template run<kPadding<T>>(begin, end);
}
#endif

// Calls kernel.run<lanes>(begin, end), which has to be PRROI_INLINE with all that it calls.
template <typename T, typename Kernel>
void run(const Kernel& kernel, int64_t begin, int64_t end) {
#if defined(__GNUC__) && defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return run_with_avx2<T>(kernel, begin, end);
#endif
  kernel.template run<kPadding<T> / 2>(begin, end);
}

}  // namespace prroi
