#include "cli/run.h"

#include "cli/audit_command.h"
#include "cli/callbacks_command.h"
#include "cli/check_command.h"
#include "cli/copy_command.h"
#include "cli/deliveries_command.h"
#include "cli/demo_command.h"
#include "cli/endpoints_command.h"
#include "cli/explain_command.h"
#include "cli/keys_command.h"
#include "cli/migrate_command.h"
#include "cli/orders_command.h"
#include "cli/reload_command.h"
#include "cli/serve_command.h"
#include "cli/simulate_command.h"
#include "cli/verify_command.h"

namespace postern::cli {

ExitCode run(int count, const char* const* arguments, const Terminal& terminal) {
  CLI::App app("Postern: a gateway for payment callbacks", "postern");
  app.require_subcommand(1);
  Action action;
  // One line a command, in the order of the help text.
  add_serve(app, action);
  add_check(app, action);
  add_reload(app, action);
  add_migrate(app, action);
  add_copy(app, action);
  add_verify(app, action);
  add_explain(app, action);
  add_orders(app, action);
  add_callbacks(app, action);
  add_deliveries(app, action);
  add_endpoints(app, action);
  add_keys(app, action);
  add_audit(app, action);
  add_simulate(app, action);
  add_demo(app, action);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, terminal.out, terminal.err);
    return code == 0 ? ExitCode::kOk : ExitCode::kUsage;
  }
  return action(terminal);
}

}  // namespace postern::cli
