// generate.cpp - continues a text: options, a streaming callback, exceptions.
//
//     c++ -std=c++17 generate.cpp -o generate $(pkg-config --cflags --libs xverse)
//     ./generate MODEL "Once upon a time"
#include <iostream>
#include <xverse.hpp>

int main(int argc, char **argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " MODEL PROMPT\n";
    return 2;
  }
  try {
    const auto model = xverse::model::open(argv[1]);
    auto session = model.create_session();

    // What to continue, and how to choose tokens. What is not set follows the model's generation_config.json.
    auto request = model.create_request();
    request.add_text(argv[2]);
    request.set_options(xverse::options::create(xverse::options_kind::sampling,  //
                                                {{"max_new_tokens", 100}, {"temperature", 0}}));

    std::cout << argv[2];
    const auto result =
        session.generate(request, [](const xverse::event &event) { std::cout << event.text() << std::flush; });
    std::cout << '\n';

    const auto stats = result.stats();
    std::cerr << stats.n_generated << " tokens in " << static_cast<double>(stats.ns_decode) / 1e9 << " s\n";
    return 0;
  } catch (const xverse::not_found &error) {
    // Each status has a class of its own, for failures that a program treats in a way of its own.
    std::cerr << "no model there: " << error.what() << '\n';
  } catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
  }
  return 1;
}
