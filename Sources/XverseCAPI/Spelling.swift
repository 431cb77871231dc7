// Spelling.swift -- text from outside in messages, and what a misspelt key was probably meant to be.

import XverseCore

/// Suggestions for misspelt keys.
enum Spelling {
  /// The beginning of a text from outside, for messages.
  static func shortened(_ text: String) -> String {
    let beginning = String(String.UnicodeScalarView(text.unicodeScalars.prefix(40)))
    return beginning.inMessage + (beginning.utf8.count < text.utf8.count ? "..." : "")
  }

  /// The candidate with the fewest edits, when those are at most a third of its length.
  static func nearest(to word: String, in candidates: [String]) -> String? {
    guard word.utf8.count <= 64 else { return nil }
    let best = candidates.map { ($0, distance(Array(word.utf8), Array($0.utf8))) }.min { $0.1 < $1.1 }
    guard let (candidate, edits) = best, edits * 3 <= max(3, candidate.utf8.count) else { return nil }
    return candidate
  }

  /// Levenshtein's distance.
  private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var row = Array(0...right.count)
    for (i, byte) in left.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, other) in right.enumerated() {
        let replaced = diagonal + (byte == other ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[right.count]
  }
}
