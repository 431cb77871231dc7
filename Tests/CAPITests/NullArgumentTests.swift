// NullArgumentTests.swift -- NULL for every pointer of every function in turn, everything else being right.

import CXverse
import Testing

extension ABI {
  @Suite("NULL as an argument")
  struct NullArgumentTests {
    @Test("the table has every pointer of every function of xverse.h")
    func tableIsComplete() throws {
      let declarations = try Declaration.all()
      let declared = declarations.flatMap { declaration in
        // A user pointer is the host's own business.
        declaration.parameters.filter { $0.isPointer && !$0.name.hasSuffix("user") }
          .map { "\(declaration.name): \($0.name)" }
      }
      let tested = NullCall.all.flatMap { call in call.answers.map { "\(call.function): \($0.key)" } }
      #expect(declarations.count > 60)
      #expect(declared.sorted() == tested.sorted())
    }

    @Test("is answered as the header says", arguments: NullCall.all)
    func isAnswered(call: NullCall) throws {
      for (argument, expected) in call.answers.sorted(by: { $0.key < $1.key }) {
        let objects = try ValidObjects()
        // Leaves a message that names no argument.
        _ = xverse_options_create(-1, nil)
        let found = call.make(objects, NulledArgument(name: argument))
        #expect(found == expected, "\(call.function), \(argument): \(lastMessage)")
        if case .status(let status, _) = found, status < 0 {
          let words = lastMessage.split { !($0.isLetter || $0 == "_") }
          #expect(words.contains { $0 == argument }, "\(call.function), \(argument): \(lastMessage)")
        }
      }
    }

    @Test("is all that is wrong with these calls", arguments: NullCall.all.filter(\.hasStatus))
    func nothingElseIsWrong(call: NullCall) throws {
      let found = call.make(try ValidObjects(), NulledArgument(name: "nothing"))
      #expect(found == .accepted || found == .made, "\(call.function): \(lastMessage)")
    }

    @Test("both of two results of which one may be NULL is INVALID")
    func bothResults() throws {
      let objects = try ValidObjects()
      let tokens: [Int32] = [7, 8]
      expect(
        xverse_session_score(objects.session, tokens, 2, nil, nil, nil), is: XVERSE_E_INVALID, saying: "logprobs", "sum"
      )
      #expect(xverse_session_length(objects.session) == 1)
      expect(xverse_runtime_memory(objects.runtime, nil, nil), is: XVERSE_E_INVALID, saying: "current", "peak")
    }

    @Test("arrays of no elements need no capacity, but a capacity needs an array")
    func arraysWithoutCapacity() throws {
      let objects = try ValidObjects()
      var count = 0
      expect(xverse_session_tokens(objects.session, nil, 0, &count), is: XVERSE_OK)
      #expect(count == 1)
      expect(xverse_session_tokens(objects.session, nil, 1, &count), is: XVERSE_E_INVALID, saying: "tokens")
    }

    @Test("structs whose size was not set are INVALID")
    func unsetSizes() throws {
      let objects = try ValidObjects()
      var info = xverse_model_info()
      var stats = xverse_stats()
      var option = xverse_option_info()
      var allocator = xverse_allocator()
      var out: OpaquePointer?
      expect(xverse_model_get_info(objects.model, &info), is: XVERSE_E_INVALID, saying: "size is 0")
      expect(xverse_session_stats(objects.session, &stats), is: XVERSE_E_INVALID, saying: "size is 0")
      expect(xverse_result_stats(objects.result, &stats), is: XVERSE_E_INVALID, saying: "size is 0")
      expect(
        xverse_options_describe(Int32(XVERSE_OPTIONS_MODEL), 0, &option), is: XVERSE_E_INVALID, saying: "size is 0")
      expect(xverse_runtime_create(nil, &allocator, &out), is: XVERSE_E_INVALID, saying: "size is 0")
      allocator.size = UInt32(MemoryLayout<xverse_allocator>.size)
      expect(xverse_runtime_create(nil, &allocator, &out), is: XVERSE_E_INVALID, saying: "alloc")
    }

    @Test("handles of another kind are INVALID")
    func wrongHandles() throws {
      let objects = try ValidObjects()
      var out: OpaquePointer?
      expect(xverse_session_create(objects.session, nil, &out), is: XVERSE_E_INVALID, saying: "model", "another kind")
      expect(
        xverse_session_generate(objects.session, objects.sampler, nil, nil, nil, &out), is: XVERSE_E_INVALID,
        saying: "request", "another kind")
      expect(
        xverse_session_eval(objects.session, [7], 1, objects.model, nil, nil), is: XVERSE_E_INVALID,
        saying: "cancel", "another kind")
    }

    @Test("lengths that no memory has are INVALID")
    func absurdLengths() throws {
      let objects = try ValidObjects()
      var count = 0
      for length in [Int.min, -2, Int.max] {
        let token: Int32 = 7
        expect(
          withUnsafePointer(to: token) { xverse_session_eval(objects.session, $0, length, nil, nil, nil) },
          is: XVERSE_E_INVALID, saying: "tokens")
        expect(
          withUnsafePointer(to: token) { xverse_request_add_tokens(objects.request, $0, length) },
          is: XVERSE_E_INVALID, saying: "tokens")
      }
      for length in [Int.min, -2] {
        expect(
          xverse_tokenizer_encode(objects.tokenizer, "a", length, 0, nil, 0, &count), is: XVERSE_E_INVALID,
          saying: "text")
        expect(xverse_request_add_text(objects.request, "a", length), is: XVERSE_E_INVALID, saying: "text")
      }
    }
  }
}

/// The argument that is to be NULL.
struct NulledArgument {
  let name: String

  /// The argument called `name`, or NULL if it is the one.
  func callAsFunction<Pointer>(_ name: String, _ pointer: Pointer?) -> Pointer? { name == self.name ? nil : pointer }
}

/// What a function did.
enum NullAnswer: Equatable, Sendable {
  /// A status, and whether the out-handle or out-pointer, if there is one, is NULL afterwards.
  case status(Int, outIsNull: Bool? = nil)
  case value(Int64)
  case null
  case nothing

  static let rejected = Self.status(XVERSE_E_INVALID)
  static let rejectedWithNull = Self.status(XVERSE_E_INVALID, outIsNull: true)
  static let rejectedWithObject = Self.status(XVERSE_E_INVALID, outIsNull: false)
  static let accepted = Self.status(XVERSE_OK)
  static let made = Self.status(XVERSE_OK, outIsNull: false)
}

/// One function, its answer to NULL for each of its pointers, and how to call it.
struct NullCall: Sendable, CustomTestStringConvertible {
  let function: String
  let answers: [String: NullAnswer]
  let make: @Sendable (ValidObjects, NulledArgument) -> NullAnswer

  init(
    _ function: String, _ answers: [String: NullAnswer],
    _ make: @escaping @Sendable (ValidObjects, NulledArgument) -> NullAnswer
  ) {
    self.function = function
    self.answers = answers
    self.make = make
  }

  var testDescription: String { function }

  /// Whether the function returns an xverse_status.
  var hasStatus: Bool {
    answers.values.contains { if case .status = $0 { true } else { false } }
  }

  static let all =
    library + options + runtime + models + conversion + tokenizers + sessions + samplers + requests
    + schedulers
}

/// One valid object of each kind.
final class ValidObjects {
  private let handles: [String: Handle]

  init() throws {
    let directory = try ModelDirectory()
    path = directory.path
    let runtime = try makeRuntime()
    let model = try openModel(path, on: runtime)
    let session = try Session(model)
    let request = try Request(model, "a", #"{"max_new_tokens": 2, "ignore_eos": 1}"#)
    let answer = session.generate(request)
    try check(session.truncate(0))
    try check(session.evaluate([9]))
    handles = [
      "runtime": runtime, "model": model, "session": session.handle, "request": request.handle,
      "result": answer.result, "cancel": try makeCancel(), "sampler": try makeSampler(model),
      "options": try makeOptions(XVERSE_OPTIONS_SAMPLING),
      "detokenizer": try makeHandle(xverse_detokenizer_free) {
        xverse_detokenizer_create(xverse_model_tokenizer(model.pointer), 0, $0)
      },
    ]
    self.directory = directory
  }

  let path: String
  private let directory: ModelDirectory

  var runtime: OpaquePointer? { handles["runtime"]?.pointer }
  var model: OpaquePointer? { handles["model"]?.pointer }
  var session: OpaquePointer? { handles["session"]?.pointer }
  var request: OpaquePointer? { handles["request"]?.pointer }
  var result: OpaquePointer? { handles["result"]?.pointer }
  var cancel: OpaquePointer? { handles["cancel"]?.pointer }
  var sampler: OpaquePointer? { handles["sampler"]?.pointer }
  var options: OpaquePointer? { handles["options"]?.pointer }
  var detokenizer: OpaquePointer? { handles["detokenizer"]?.pointer }
  var tokenizer: OpaquePointer? { xverse_model_tokenizer(model) }

  /// A request without a prompt, for one call.
  var emptyRequest: Handle? { try? makeHandle(xverse_request_free) { xverse_request_create(model, $0) } }

  /// A scheduler of the model, for one call.
  var scheduler: Handle? { try? makeHandle(xverse_scheduler_free) { xverse_scheduler_create(model, nil, $0) } }

  /// Options of a kind for one call.
  func options(_ kind: Int) -> Handle? { try? makeOptions(kind) }
}
