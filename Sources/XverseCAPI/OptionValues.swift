// OptionValues.swift -- the values behind an xverse_options: checked when they are set, so that using them cannot fail
// for reasons that were known before.

import XverseCore

/// The object behind an xverse_options.
final class OptionsHandle: OwnedHandle {
  var values: any SettableOptions

  init(_ kind: OptionKind) { values = kind.group.unsetValues() }
}

/// The values of any kind of options.
protocol SettableOptions {
  var kind: OptionKind { get }

  /// Sets one value, or throws and changes nothing.
  mutating func set(_ key: String, to input: OptionInput) throws(XverseError)

  /// Sets all members of a JSON object, or throws and changes nothing.
  mutating func set(json text: UnsafeRawBufferPointer) throws(XverseError)
}

/// The values that are set of one kind of options.
struct OptionValues<Group: OptionGroup>: SettableOptions {
  /// One for each row of the table; nil where nothing is set.
  private var assignments = [OptionRow<Group>.Assignment?](repeating: nil, count: Group.rows.count)

  var kind: OptionKind { Group.kind }

  mutating func set(_ key: String, to input: OptionInput) throws(XverseError) {
    let row = try row(of: key)
    assignments[row] = try Group.rows[row].assignment(of: input)
  }

  mutating func set(json text: UnsafeRawBufferPointer) throws(XverseError) {
    let document = try JSONDocument(text, source: "options", faultCode: .parse)
    guard document.root.kind == .object else {
      throw .invalid("options: the JSON text is \(document.root.kind.rawValue), expected an object")
    }
    var changed = self
    for (name, value) in document.root.members { try changed.set(name.text, to: .json(value)) }
    self = changed
  }

  /// `group` with the values that are set.
  func applied(to group: Group) -> Group {
    var group = group
    for assign in assignments { assign?(&group) }
    return group
  }

  private func row(of key: String) throws(XverseError) -> Int {
    let keys = Group.rows.map { "\($0.key)" }
    if let found = keys.firstIndex(of: key) { return found }
    let nearest = Spelling.nearest(to: key, in: keys)
    throw .invalid(
      "'\(Spelling.shortened(key))' is no option of kind \(kind.name); "
        + (nearest.map { "did you mean '\($0)'?" } ?? "its keys are \(keys.joined(separator: ", "))"))
  }
}

/// The values behind a handle, the rest as in `defaults`; NULL stands for the defaults.
///
/// - Throws: `invalid` for options of another kind, `busy`.
func optionValues<Group: OptionGroup>(
  _ handle: OpaquePointer?, _ name: StaticString = "options", over defaults: Group = Group()
) throws(XverseError) -> Group {
  guard handle != nil else { return defaults }
  let options = try borrow(handle, as: OptionsHandle.self, name)
  let values = try options.reading(name) { options.values }
  guard let values = values as? OptionValues<Group> else {
    throw .invalid("\(name) is of kind \(values.kind.name), expected \(Group.kind.name)")
  }
  return values.applied(to: defaults)
}
