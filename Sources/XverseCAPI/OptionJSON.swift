// OptionJSON.swift -- the values of options that are JSON.

import XverseCore
import XverseRuntime

/// Checks values and turns them into what the library works with.
enum OptionJSON {
  static func stops(_ value: JSONValue) throws(XverseError) -> [[UInt8]] {
    if let single = value.string { return try [checked(single, 0)] }
    guard value.kind == .array else {
      throw .invalid("option 'stop' is \(value.snippet), expected an array of strings")
    }
    var stops: [[UInt8]] = []
    for (index, element) in value.elements.enumerated() {
      guard index < StopMatcher.maximumCount else {
        throw .range("option 'stop' has more than \(StopMatcher.maximumCount) strings")
      }
      guard let text = element.string else {
        throw .invalid("option 'stop': element \(index) is \(element.snippet), expected a string")
      }
      stops.append(try checked(text, index))
    }
    return stops
  }

  private static func checked(_ text: String, _ index: Int) throws(XverseError) -> [UInt8] {
    let bytes = Array(text.utf8)
    guard (1...StopMatcher.maximumLength).contains(bytes.count) else {
      throw .range(
        "option 'stop': string \(index) has \(bytes.count) bytes, expected 1 to \(StopMatcher.maximumLength)")
    }
    return bytes
  }

  /// The bound that keeps every sum of a logit and its bias finite.
  private static let largestBias = 0x1p60

  static func biases(_ value: JSONValue) throws(XverseError) -> [(token: Int32, bias: Float)] {
    guard value.kind == .object else {
      throw .invalid("option 'logit_bias' is \(value.snippet), expected an object of token ids and numbers")
    }
    var biases: [(token: Int32, bias: Float)] = []
    for (key, bias) in value.members {
      guard let token = Int32(key.text), token >= 0 else {
        throw .range("option 'logit_bias': key '\(key.snippet)' is no token id")
      }
      guard let number = bias.double, number <= largestBias else {
        throw .range(
          "option 'logit_bias': the bias of token \(token) is \(bias.snippet), expected a finite number of at most 2^60"
        )
      }
      // What people write for "never" is taken as that.
      biases.append((token, number < -largestBias ? -.infinity : Float(number)))
    }
    return biases
  }
}
