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
