// MessageText.swift -- names from outside made fit for an error message: one line, bounded, nothing that
// steers a terminal.

extension String {
  /// The text with control and formatting characters as `\u{..}`, cut after 200 characters.
  package var inMessage: String {
    var result = ""
    for (number, scalar) in unicodeScalars.enumerated() {
      guard number < 200 else { return result + "..." }
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator:
        result += "\\u{" + String(scalar.value, radix: 16) + "}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
