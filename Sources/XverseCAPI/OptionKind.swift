// OptionKind.swift -- the kinds of options in xverse.h, and the struct that holds the values of each.

import CXverse
import XverseConversion
import XverseRuntime

/// A kind of options; the raw values are those of XVERSE_OPTIONS_*.
enum OptionKind: Int32, CaseIterable {
  case runtime = 1
  case model = 2
  case session = 3
  case sampling = 4
  case scheduler = 5
  case convert = 6
  case score = 7

  /// The name without XVERSE_OPTIONS_.
  var name: StaticString {
    switch self {
    case .runtime: "RUNTIME"
    case .model: "MODEL"
    case .session: "SESSION"
    case .sampling: "SAMPLING"
    case .scheduler: "SCHEDULER"
    case .convert: "CONVERT"
    case .score: "SCORE"
    }
  }

  var group: any OptionGroup.Type {
    switch self {
    case .runtime: RuntimeOptions.self
    case .model: LoadOptions.self
    case .session: SessionOptions.self
    case .sampling: SamplingOptions.self
    case .scheduler: SchedulerSettings.self
    case .convert: ConversionOptions.self
    case .score: PerplexityOptions.self
    }
  }
}

/// A struct that holds the values of one kind of options; a new one holds the defaults.
protocol OptionGroup: Sendable {
  static var kind: OptionKind { get }
  /// The options of the kind; a row's index is the one that xverse_options_describe takes.
  static var rows: [OptionRow<Self>] { get }

  init()
}

extension OptionGroup {
  /// Values none of which is set.
  static func unsetValues() -> any SettableOptions { OptionValues<Self>() }

  static var descriptions: [xverse_option_info] { rows.map(\.info) }
}
