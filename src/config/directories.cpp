// What is no file: single values, and watches of directories.
#include "config/keys.hpp"

namespace inotifier::config {

Origin read_text(const Key& key, std::string_view name, std::string_view text, const Source& source,
                 std::size_t line, Target target, Problems& problems) {
  if (const auto node = parse_value(text, line)) {
    return Setting(source, *node, name, problems).read(key, target);
  }
  problems.add(source, line, name, "is no list", "write [\"a\", \"b\"], or a,b");
  return {&source, line, false};
}

WatchDraft watch_at(const std::string& path, std::string_view name, const Source& source,
                    std::size_t line, const WatchDraft& model, Problems& problems) {
  const Key& key = *find_key("watch.path");
  auto watch = model;
  const Node node{path, line, true};
  watch.origin = Setting(source, node, name, problems).read(key, &watch.config);
  watch.given[key.name] = watch.origin;
  return watch;
}

void apply(const LoadOptions& options, const WatchDraft& defaults, Source& source, Draft& draft,
           Problems& problems) {
  source.lines = options.watch_options;
  source.lines.insert(source.lines.end(), options.directories.begin(), options.directories.end());
  auto model = defaults;
  for (std::size_t i = 0; i < options.watch_options.size(); ++i) {
    const std::string& option = options.watch_options[i];
    const auto equals = option.find('=');
    const auto name = option.substr(0, equals);
    const Key* key = find_key("watch." + name);
    if (equals == std::string::npos) {
      problems.add(source, i, name, "has no value", "write key=value, as in settle=5s");
    } else if (key == nullptr) {
      problems.add(source, i, name, "unknown key", suggest(name, key_names("watch")));
    } else if (name == "path") {
      problems.add(source, i, name, "the path is the directory of the command line");
    } else {
      model.given[key->name] = read_text(*key, name, std::string_view(option).substr(equals + 1),
                                         source, i, &model.config, problems);
    }
  }
  for (std::size_t i = 0; i < options.directories.size(); ++i) {
    draft.watches.push_back(watch_at(options.directories[i], "directory", source,
                                     options.watch_options.size() + i, model, problems));
  }
}

}  // namespace inotifier::config
