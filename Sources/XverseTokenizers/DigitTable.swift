// DigitTable.swift -- a table of numbers that is written as a text, so that it lies in the library's constant data: an
// array literal of its size would be slow to compile, and be built when the program runs.

/// Numbers of a fixed count of digits in base 64, most significant first; "0" to "o" are 0 to 63.
struct DigitTable {
  private let width: Int
  private let digits: StaticString

  /// - Parameter digits: ASCII.
  init(width: Int, digits: StaticString) {
    self.width = width
    self.digits = digits
  }

  var count: Int { digits.utf8CodeUnitCount / width }

  subscript(index: Int) -> Int {
    let start = index * width
    precondition(start >= 0 && start + width <= digits.utf8CodeUnitCount, "index out of range")
    var number = 0
    for place in start..<start + width { number = number << 6 | Int(digits.utf8Start[place] &- 48) }
    return number
  }
}
