// Buffer.swift -- the growable array for sizes that come from outside: a Swift Array that cannot grow ends the host
// process, this one throws.

/// A growable array of plain values in memory of a `MemoryAllocator`.
///
/// Growth doubles, so appending is amortized O(1). After a failed growth the contents are as before.
@usableFromInline package struct Buffer<Element: BitwiseCopyable>: ~Copyable {
  @usableFromInline package private(set) var base: UnsafeMutablePointer<Element>?
  @usableFromInline package private(set) var count = 0
  @usableFromInline package private(set) var capacity = 0
  package let allocator: MemoryAllocator

  package init(allocator: MemoryAllocator = .system) {
    self.allocator = allocator
  }

  /// A buffer of `count` copies of `value`.
  package init(
    repeating value: Element, count: Int, allocator: MemoryAllocator = .system
  ) throws(XverseError) {
    self.init(allocator: allocator)
    try reserve(count)
    base?.initialize(repeating: value, count: count)
    self.count = count
  }

  deinit {
    if let base { allocator.deallocate(base, bytes: capacity * MemoryLayout<Element>.stride) }
  }

  @inlinable package var isEmpty: Bool { count == 0 }

  /// The contents; valid until the next mutation.
  @inlinable package var elements: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: base, count: count) }
  @inlinable package var mutableElements: UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(start: base, count: count)
  }

  @inlinable package subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count, "index out of range")
      return base.unsafelyUnwrapped[index]
    }
    set {
      precondition(index >= 0 && index < count, "index out of range")
      base.unsafelyUnwrapped[index] = newValue
    }
  }

  @inlinable package mutating func append(_ element: Element) throws(XverseError) {
    if count == capacity { try reserve(count + 1) }
    appendReserved(element)
  }

  package mutating func append(contentsOf elements: UnsafeBufferPointer<Element>) throws(XverseError) {
    guard let source = elements.baseAddress, !elements.isEmpty else { return }
    try reserve(count + elements.count)
    (base.unsafelyUnwrapped + count).initialize(from: source, count: elements.count)
    count += elements.count
  }

  /// Makes room for `minimum` elements in all.
  @usableFromInline package mutating func reserve(_ minimum: Int) throws(XverseError) {
    guard minimum > capacity else { return }
    let grown = max(minimum, min(capacity, .max / 2) * 2, 16)
    let (bytes, overflow) = grown.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    guard !overflow else { throw .outOfMemory(bytes: .max) }
    let memory = try allocator.allocate(bytes).bindMemory(to: Element.self, capacity: grown)
    if let base {
      memory.initialize(from: base, count: count)
      allocator.deallocate(base, bytes: capacity * MemoryLayout<Element>.stride)
    }
    base = memory
    capacity = grown
  }

  /// Keeps the first `newCount` elements, and the memory.
  package mutating func truncate(to newCount: Int) {
    precondition(newCount >= 0 && newCount <= count, "truncation to \(newCount) of \(count) elements")
    count = newCount
  }

  package mutating func removeAll() { count = 0 }

  /// The contents and their memory, which this buffer then has no more.
  package mutating func moved() -> Buffer {
    var result = Buffer(allocator: allocator)
    swap(&result, &self)
    return result
  }

  /// Drops the first `number` elements, moving the rest down.
  package mutating func removeFirst(_ number: Int) {
    precondition(number >= 0 && number <= count, "removal of \(number) of \(count) elements")
    guard let base, number > 0 else { return }
    base.update(from: base + number, count: count - number)
    count -= number
  }

  @usableFromInline package mutating func appendReserved(_ element: Element) {
    base.unsafelyUnwrapped[count] = element
    count += 1
  }
}

extension Buffer where Element == UInt8 {
  package mutating func append(utf8 string: String) throws(XverseError) {
    for byte in string.utf8 { try append(byte) }
  }

  package mutating func append(bytes: UnsafeRawBufferPointer) throws(XverseError) {
    try append(contentsOf: bytes.assumingMemoryBound(to: UInt8.self))
  }

  /// The contents as text; bytes that are not UTF-8 become U+FFFD.
  package var text: String { String(decoding: elements, as: UTF8.self) }
}
