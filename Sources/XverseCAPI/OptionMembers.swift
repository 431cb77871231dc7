// OptionMembers.swift -- the types that a member can have which a number sets.

/// A member that a number sets.
protocol NumberMember: Sendable {
  /// The value for xverse_option_info; NaN when there is none.
  var number: Double { get }
}

/// A member that an integer option sets.
protocol IntegerMember: NumberMember {
  init(integer: Int64)
}

/// A member that a floating-point option sets.
protocol FloatMember: NumberMember {
  init(float: Double)
}

extension Int: IntegerMember {
  init(integer: Int64) { self.init(clamping: integer) }
  var number: Double { Double(self) }
}

extension Int64: IntegerMember {
  init(integer: Int64) { self = integer }
  var number: Double { Double(self) }
}

extension Bool: IntegerMember {
  init(integer: Int64) { self = integer != 0 }
  var number: Double { self ? 1 : 0 }
}

extension Float: FloatMember {
  init(float: Double) { self.init(float) }
  var number: Double { Double(self) }
}

extension Double: FloatMember {
  init(float: Double) { self = float }
  var number: Double { self }
}

extension Optional: NumberMember where Wrapped: NumberMember {
  var number: Double { self?.number ?? .nan }
}

extension Optional: IntegerMember where Wrapped: IntegerMember {
  init(integer: Int64) { self = Wrapped(integer: integer) }
}

extension Optional: FloatMember where Wrapped: FloatMember {
  init(float: Double) { self = Wrapped(float: float) }
}
