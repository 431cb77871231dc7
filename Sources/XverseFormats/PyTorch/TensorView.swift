// TensorView.swift -- which elements of a storage a tensor with an offset and strides is made of, as PyTorch counts them.

import XverseCore

/// A tensor's place in its storage, in elements; it lies inside.
struct TensorView {
  /// More than any weight has: what is added up over all tensors of a checkpoint stays an Int.
  static let maximumElementCount = 1 << 40

  let begin: Int
  /// Elements from the first to the last.
  let span: Int
  /// nil for the row-major order.
  let strides: [Int]?

  /// Elements may share a place, as those of an expanded tensor do.
  ///
  /// - Parameters:
  ///   - strides: As many as `shape` has dimensions.
  ///   - count: Elements of the storage.
  ///   - name: The tensor in messages.
  /// - Throws: `corrupt` for a view that leaves the storage, `limit`.
  init(
    offset: Int, shape: [Int], strides: [Int], in count: Int, name: @autoclosure () -> String
  ) throws(XverseError) {
    let description = { "shape \(shape), strides \(strides) and offset \(offset)" }
    guard offset >= 0, shape.allSatisfy({ $0 >= 0 }), strides.allSatisfy({ $0 >= 0 }) else {
      throw .corrupt("\(name()) has \(description()), expected none of them negative")
    }
    var (elementCount, last, isRowMajor) = (1, 0, true)
    let isEmpty = shape.contains(0)
    for (size, stride) in zip(shape, strides).reversed() where size != 1 && !isEmpty {
      if stride != elementCount { isRowMajor = false }
      let (product, overflow) = elementCount.multipliedReportingOverflow(by: size)
      let (reach, reachOverflow) = (size - 1).multipliedReportingOverflow(by: stride)
      guard !overflow, product <= Self.maximumElementCount, !reachOverflow, reach <= Self.maximumElementCount else {
        throw .limit("\(name()) has \(description()), expected at most \(Self.maximumElementCount) elements")
      }
      elementCount = product
      last += reach
    }
    span = isEmpty ? 0 : last + 1
    guard offset <= count, span <= count - offset else {
      throw .corrupt("\(name()) has \(description()), expected it to end within the \(count) elements of its storage")
    }
    begin = offset
    self.strides = isRowMajor ? nil : strides
  }
}
