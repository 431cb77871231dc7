// TensorPickle+Tensors.swift -- the patterns of tensors in a pickle: dictionaries, storages by persistent id, and the three
// calls that are recognized.

import XverseCore

/// A tensor as a pickle describes it; nothing of it has been compared with a file.
struct PickledTensor {
  let name: UnsafeRawBufferPointer
  let type: ElementType
  /// The name of the storage's entry, and the elements that it is said to have.
  let storage: UnsafeRawBufferPointer
  let storageCount: Int
  /// Elements of the storage before the first of the tensor.
  let offset: Int
  let shape: [Int]
  let strides: [Int]
  /// Whether the stored numbers are not yet those of the tensor: negated or conjugated.
  let isTransformed: Bool
}

extension TensorPickle {
  /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`.
  private static let argumentCounts = 6...7
  /// `('storage', type, key, location, element count)`.
  private static let storageCount = 5

  /// Takes what lies from `start` on out of the stack, into the list below.
  mutating func appendItems(from start: Int) throws(XverseError) {
    guard case .list = try container(below: start) else {
      throw fault("an item is added to no list", at: reader.position)
    }
    stack.truncate(to: start)
  }

  /// Takes the pairs from `start` on out of the stack, into the dictionary below.
  mutating func setItems(from start: Int) throws(XverseError) {
    guard case .dictionary(let dictionary) = try container(below: start), (stack.count - start) % 2 == 0 else {
      throw fault("an item is set in no dictionary", at: reader.position)
    }
    for index in stride(from: start, to: stack.count, by: 2) {
      let value = stack[index + 1]
      if case .tensor = value {
        contents[Int(dictionary)] = .tensors
      } else {
        if contents[Int(dictionary)] == .none { contents[Int(dictionary)] = .others }
        guard case .dictionary = value else { continue }
      }
      guard case .text(let key) = stack[index] else { continue }
      try items.append(Item(dictionary: dictionary, key: key, value: value))
    }
    stack.truncate(to: start)
  }

  /// Passes over the attributes of a dictionary: torch keeps `_metadata` there.
  mutating func build() throws(XverseError) {
    _ = try pop()
    guard case .dictionary = try top() else {
      throw .unsafe(
        "\(source) sets the state of what is no dictionary at byte \(reader.position), expected only tensors",
        offset: reader.position)
    }
  }

  mutating func makeStorage(at place: Int) throws(XverseError) {
    guard case .tuple(let start, let count) = try pop(), Int(count) == Self.storageCount,
      case .text(let tag) = elements[Int(start)], try bytes(of: tag).elementsEqual("storage".utf8),
      case .global(.storage) = elements[Int(start) + 1], case .text = elements[Int(start) + 2],
      case .integer = elements[Int(start) + 4]
    else {
      throw fault("a persistent id is no ('storage', type, key, location, count)", at: place)
    }
    try push(.storage(start))
  }

  /// Recognizes a call by what is called and by the kinds of its arguments.
  mutating func reduce(at place: Int) throws(XverseError) {
    let arguments = try pop()
    let function = try pop()
    guard case .tuple(let start, let count) = arguments, case .global(let global) = function else {
      throw fault("a call has no function or no tuple of arguments", at: place)
    }
    switch global {
    case .orderedDictionary:
      guard count == 0 else { throw misfit("OrderedDict", "none", at: place) }
      try push(newDictionary())
    case .rebuildTensor:
      guard isTensor(start, Int(count)) else {
        throw misfit("_rebuild_tensor_v2", "(storage, offset, size, stride, requires_grad, hooks)", at: place)
      }
      try push(.tensor(start: start, isTransformed: isTransformed(start, Int(count))))
    case .rebuildParameter:
      guard count == 3, case .tensor = elements[Int(start)] else {
        throw misfit("_rebuild_parameter", "(tensor, requires_grad, hooks)", at: place)
      }
      try push(elements[Int(start)])
    case .storage:
      throw .unsafe("\(source) calls the type of a storage at byte \(place), expected only tensors", offset: place)
    }
  }

  private func misfit(_ function: String, _ expected: String, at place: Int) -> XverseError {
    .corrupt(
      "\(source): the arguments of '\(function)' at byte \(place) do not fit, expected \(expected)", offset: place)
  }

  /// Whether the tuple holds the arguments of a tensor.
  private func isTensor(_ start: UInt32, _ count: Int) -> Bool {
    let first = Int(start)
    guard Self.argumentCounts.contains(count), case .storage = elements[first], case .integer = elements[first + 1],
      case .tuple(_, let rank) = elements[first + 2], case .tuple(_, rank) = elements[first + 3],
      integers(elements[first + 2]) != nil, integers(elements[first + 3]) != nil
    else { return false }
    return true
  }

  /// Whether there is a seventh argument, a dictionary that is not empty: `{"conj": True}` or `{"neg": True}`.
  private func isTransformed(_ start: UInt32, _ count: Int) -> Bool {
    guard count == Self.argumentCounts.upperBound, case .dictionary(let metadata) = elements[Int(start) + count - 1]
    else {
      return false
    }
    return contents[Int(metadata)] != .none
  }

  /// The integers of a tuple; nil when it holds something else, or more than any tensor has dimensions.
  private func integers(_ value: PickleValue) -> [Int]? {
    guard case .tuple(let start, let count) = value, count <= TensorTable.maximumRank else { return nil }
    var result: [Int] = []
    for index in Int(start)..<Int(start) + Int(count) {
      guard case .integer(let number) = elements[index] else { return nil }
      result.append(number)
    }
    return result
  }

  // MARK: results

  /// The tensor that `item` is in the dictionary of the whole pickle; nil when it is none.
  func tensor(_ item: Item) throws(XverseError) -> PickledTensor? {
    guard case .dictionary(let dictionary) = root, item.dictionary == dictionary,
      case .tensor(let start, let isTransformed) = item.value,
      case .storage(let storage) = elements[Int(start)], case .global(.storage(let type)) = elements[Int(storage) + 1],
      case .text(let key) = elements[Int(storage) + 2], case .integer(let storageCount) = elements[Int(storage) + 4],
      case .integer(let offset) = elements[Int(start) + 1], let shape = integers(elements[Int(start) + 2]),
      let strides = integers(elements[Int(start) + 3])
    else { return nil }
    return PickledTensor(
      name: try bytes(of: item.key), type: type, storage: try bytes(of: key), storageCount: storageCount,
      offset: offset,
      shape: shape, strides: strides, isTransformed: isTransformed)
  }

  /// The first key of the whole pickle's dictionary under which tensors stand in a dictionary of their own.
  var keyOfTensors: PickleText? {
    guard case .dictionary(let root) = root else { return nil }
    for item in items.elements where item.dictionary == root {
      if case .dictionary(let inner) = item.value, contents[Int(inner)] == .tensors { return item.key }
    }
    return nil
  }
}
