// SessionFileSeal.swift -- saved sessions whose checksums are right, whatever else is in them: for tests of what stands
// behind the checksums. The layout is that of SessionFileHeader.swift, read here a second time.

import XverseCore

/// The file with the checksums of its contents, as far as its header says where they stand within it.
///
/// - Parameter fingerprint: Of the model that it is to be of; nil: it stays.
package func sealedSession(_ file: [UInt8], fingerprint: UInt64? = nil) -> [UInt8] {
  guard file.count >= 512 else { return file }
  var file = file
  func word(_ index: Int) -> Int {
    let bytes = file[8 * index..<8 * index + 8].reversed()
    return Int(clamping: bytes.reduce(0 as UInt64) { $0 << 8 | UInt64($1) })
  }
  func put(_ value: UInt64, _ index: Int) {
    file.replaceSubrange(8 * index..<8 * index + 8, with: withUnsafeBytes(of: value.littleEndian, Array.init))
  }
  if let fingerprint { put(fingerprint, 4) }
  let elementBytes = [4 &* word(8), 2 &* word(8), word(8) &+ 4]
  // Larger numbers fit in no file of a test.
  if (5...12).allSatisfy({ word($0) < 1 << 16 }), word(5) < 3 {
    let blockBytes = word(6) * 2 * word(7) * elementBytes[word(5)] * 64
    let sections = [(13, 4 * word(10)), (14, word(11)), (15, word(12) == 1 ? 4 * word(9) : 0)]
    var start = 512
    for (checksum, used) in sections {
      let end = start + (used + 63) / 64 * 64
      guard end <= file.count else { break }
      let sum = file.withUnsafeBytes { Checksum.of(UnsafeRawBufferPointer(rebasing: $0[start..<start + used])) }
      let whole = file.withUnsafeBytes {
        Checksum.of(UnsafeRawBufferPointer(rebasing: $0[start + used..<end]), seed: sum)
      }
      put(whole, checksum)
      start = end
    }
    var sum: UInt64 = 0
    for _ in 0..<(word(10) + 63) / 64 where blockBytes > 0 && start + blockBytes <= file.count {
      sum = file.withUnsafeBytes {
        Checksum.of(UnsafeRawBufferPointer(rebasing: $0[start..<start + blockBytes]), seed: sum)
      }
      start += blockBytes
    }
    put(sum, 16)
  }
  put(file.withUnsafeBytes { Checksum.of(UnsafeRawBufferPointer(rebasing: $0[..<504])) }, 63)
  return file
}
