// Arguments.swift -- the words after a command's name, taken apart: options by name, operands in order.
//
//   --key value, --key=value   an option with a value; the next word is always the value, even when it starts with '-'
//   --key                      a flag; --key=0 switches one off that the library knows
//   -x                         the same by its letter, for the few flags that have one
//   --                         ends the options
//   -                          an operand: standard input

struct Arguments {
  let command: String
  let operands: [Word]
  private let values: [String: [Word]]

  /// - Throws: `usage` for an unknown option (with the nearest known one), a missing or unwanted value, a repeated
  ///   option that may stand once, and a wrong number of operands unless help is asked for.
  init(parsing words: [Word], for specification: CommandSpecification) throws(ToolError) {
    var parser = ArgumentParser(specification)
    try parser.parse(words)
    command = specification.name
    operands = parser.operands
    values = parser.values
    if has("help") { return }
    let allowed = specification.operandCount
    if operands.count < allowed.lowerBound {
      throw .usage(
        "\(command): \(specification.operands[operands.count].name) is missing; usage: xverse \(command) "
          + specification.usages[0])
    }
    if operands.count > allowed.upperBound {
      throw .usage(
        "\(command): unexpected argument '\(operands[allowed.upperBound].text)' (quote text that contains spaces)")
    }
  }

  func has(_ name: String) -> Bool { values[name] != nil }

  func word(_ name: String) -> Word? { values[name]?.last }

  func string(_ name: String) -> String? { word(name)?.text }

  func strings(_ name: String) -> [String] { (values[name] ?? []).map(\.text) }

  /// The value of `--name` as a whole number in `range`; nil when the option is absent.
  func integer(_ name: String, in range: ClosedRange<Int> = Int.min...Int.max) throws(ToolError) -> Int? {
    guard let text = string(name) else { return nil }
    guard let value = Int(text) else { throw .usage("--\(name) is '\(text)', expected a whole number") }
    guard range.contains(value) else {
      let bounds =
        range.upperBound == .max
        ? "at least \(range.lowerBound)"
        : "a number from \(range.lowerBound) to \(range.upperBound)"
      throw .usage("--\(name) is \(value), expected \(bounds)")
    }
    return value
  }

  /// The value of `--name` as a number of bytes, such as 1000000, 5GB or 4GiB; nil when the option is absent.
  func bytes(_ name: String) throws(ToolError) -> Int? {
    guard let text = string(name) else { return nil }
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let units = ["", "KB", "MB", "GB", "TB"].enumerated().map { ($1, 1000.power($0)) }
    let binary = ["KiB", "MiB", "GiB", "TiB"].enumerated().map { ($1, 1024.power($0 + 1)) }
    let unit = (units + binary).first { $0.0 == text.dropFirst(digits.count) }
    guard let count = Int(digits), let size = unit?.1 else {
      throw .usage("--\(name) is '\(text)', expected a number of bytes such as 1000000, 5GB or 4GiB")
    }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
    if overflow { throw .usage("--\(name) is '\(text)', more bytes than can be counted") }
    return bytes
  }

  /// The value of `--name` as a number; nil when the option is absent.
  func number(_ name: String) throws(ToolError) -> Double? {
    guard let text = string(name) else { return nil }
    guard let value = Double(text) else { throw .usage("--\(name) is '\(text)', expected a number") }
    return value
  }
}

/// Reads the words from left to right.
private struct ArgumentParser {
  private let specification: CommandSpecification
  private(set) var operands: [Word] = []
  private(set) var values: [String: [Word]] = [:]

  init(_ specification: CommandSpecification) { self.specification = specification }

  mutating func parse(_ words: [Word]) throws(ToolError) {
    var remaining = words[...]
    while let word = remaining.popFirst() {
      if word.text == "--" {
        operands += remaining
        return
      }
      if word.bytes.count == 2, word.bytes[0] == UInt8(ascii: "-"),
        let flag = specification.options.first(where: { $0.short?.asciiValue == word.bytes[1] })
      {
        values[flag.name] = [Word([])]
      } else if word.bytes.first == UInt8(ascii: "-"), word.bytes.count > 1 {
        try parseOption(word, &remaining)
      } else {
        operands.append(word)
      }
    }
  }

  private mutating func parseOption(_ word: Word, _ remaining: inout ArraySlice<Word>) throws(ToolError) {
    let parts = word.bytes.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
    let spelled = Word(parts[0]).text
    guard let option = specification.options.first(where: { "--" + $0.name == spelled }) else {
      throw .usage(unknown(spelled))
    }
    var value = parts.count == 2 ? Word(parts[1]) : nil
    switch option.value {
    case .none:
      if value != nil { throw .usage("--\(option.name) takes no value") }
    case .toggle: break
    case .one, .several:
      value = value ?? remaining.popFirst()
      if value == nil { throw .usage("--\(option.name) needs a value: \(option.synopsis)") }
    }
    if values[option.name] != nil, !option.isRepeatable {
      throw .usage("--\(option.name) is given more than once")
    }
    values[option.name, default: []].append(value ?? Word([]))
  }

  private func unknown(_ spelled: String) -> String {
    let nearest = Suggestion.nearest(to: spelled, among: specification.options.map { "--" + $0.name })
    return "unknown option '\(spelled)'"
      + (nearest.map { "; did you mean '\($0)'?" } ?? "; see 'xverse help \(specification.name)'")
  }
}

extension Int {
  fileprivate func power(_ exponent: Int) -> Int { (0..<exponent).reduce(1) { product, _ in product * self } }
}
