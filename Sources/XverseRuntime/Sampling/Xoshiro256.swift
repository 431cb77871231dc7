// Xoshiro256.swift -- the random numbers of sampling: one seed gives the same numbers on every machine, for ever.

import Glibc

/// xoshiro256** 1.0 (Blackman & Vigna 2018), its state filled by SplitMix64 (Steele, Lea & Flood 2014).
struct Xoshiro256: Sendable {
  private var state: (UInt64, UInt64, UInt64, UInt64)

  init(seed: UInt64) {
    var mixed = seed
    func next() -> UInt64 {
      mixed &+= 0x9E37_79B9_7F4A_7C15
      var z = mixed
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
    self.init(state: (next(), next(), next(), next()))
  }

  init(state: (UInt64, UInt64, UInt64, UInt64)) {
    self.state = state
  }

  mutating func next() -> UInt64 {
    let product = state.1 &* 5
    let result = ((product << 7) | (product >> 57)) &* 9
    let shifted = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= shifted
    state.3 = (state.3 << 45) | (state.3 >> 19)
    return result
  }

  /// A multiple of 2^-53 in [0, 1), all equally likely.
  mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A seed that differs from run to run.
  static func systemSeed() -> UInt64 {
    var seed: UInt64 = 0
    if getentropy(&seed, MemoryLayout<UInt64>.size) == 0 { return seed }
    // Kernels before 3.17 have no such call; the clock is then enough, for nothing here has to be secret.
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(truncatingIfNeeded: now.tv_sec) << 32 ^ UInt64(truncatingIfNeeded: now.tv_nsec)
  }
}
