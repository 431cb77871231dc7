// PickleValue.swift -- the values of a pickle, as far as tensors are made of them: small, and by reference where they are
// large.

/// A text where it stands in the pickle.
struct PickleText: BitwiseCopyable {
  let start: UInt32
  let count: UInt32
}

/// The functions and classes that a pickle may name.
enum PickleGlobal: BitwiseCopyable {
  case orderedDictionary
  case rebuildTensor
  case rebuildParameter
  case storage(ElementType)

  /// The longest name of a module, class or function.
  private static let maximumNameLength = 32

  /// nil for all others.
  init?(module: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer) {
    guard max(module.count, name.count) <= Self.maximumNameLength else { return nil }
    let (module, name) = (String(decoding: module, as: UTF8.self), String(decoding: name, as: UTF8.self))
    switch (module, name) {
    case ("collections", "OrderedDict"): self = .orderedDictionary
    case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
    case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
    case ("torch", _):
      guard let type = ElementType(storage: name) else { return nil }
      self = .storage(type)
    default: return nil
    }
  }

  /// Whether a global makes tensors of a kind that is not read, and does nothing else: float8 and other types without a
  /// storage class of their own, quantized, sparse and wrapped ones.
  static func isOfOtherTensors(module: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer) -> Bool {
    guard max(module.count, name.count) <= maximumNameLength else { return false }
    let last = String(decoding: name, as: UTF8.self)
    switch String(decoding: module, as: UTF8.self) {
    case "torch._utils":
      return [
        "_rebuild_tensor", "_rebuild_tensor_v3", "_rebuild_qtensor", "_rebuild_sparse_tensor",
        "_rebuild_wrapper_subclass", "_rebuild_meta_tensor_no_storage",
      ].contains(last)
    case "torch.storage": return ["UntypedStorage", "TypedStorage"].contains(last)
    case "torch":
      let types = [
        "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2",
        "uint16", "uint32", "uint64",
      ]
      let storages = [
        "UntypedStorage", "ComplexDoubleStorage", "QInt8Storage", "QUInt8Storage", "QInt32Storage", "QUInt4x2Storage",
        "QUInt2x4Storage",
      ]
      return types.contains(last) || storages.contains(last)
    default: return false
    }
  }
}

/// A value on the stack, in the memo, or in a tuple. Tuples lie one after the other in `TensorPickle.elements`.
enum PickleValue: BitwiseCopyable {
  /// None, a boolean, a float, bytes, an integer of more than 64 bits: nothing that a tensor is made of.
  case other
  case integer(Int)
  case text(PickleText)
  case global(PickleGlobal)
  case tuple(start: UInt32, count: UInt32)
  case list
  case dictionary(UInt32)
  /// What a persistent id stands for; its tuple starts there.
  case storage(UInt32)
  /// A call of `_rebuild_tensor_v2`; the tuple of its arguments starts there. The numbers of one that is transformed are
  /// stored negated or conjugated.
  case tensor(start: UInt32, isTransformed: Bool)
}

extension ElementType {
  /// The elements of `torch.<dtype>Storage`; nil for a name that is none of these.
  fileprivate init?(storage name: String) {
    switch name {
    case "DoubleStorage": self = .f64
    case "FloatStorage": self = .f32
    case "HalfStorage": self = .f16
    case "BFloat16Storage": self = .bf16
    case "LongStorage": self = .i64
    case "IntStorage": self = .i32
    case "ShortStorage": self = .i16
    case "CharStorage": self = .i8
    case "ByteStorage": self = .u8
    case "BoolStorage": self = .bool
    case "ComplexFloatStorage": self = .c64
    default: return nil
    }
  }
}
