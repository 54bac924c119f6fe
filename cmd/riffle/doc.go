// Command riffle looks after a Riffle store: its directory at rest, and a running service
// through its admin API.
//
//	riffle verify bank.db
//	riffle events bank.db --type bank/account.deposited --backward --limit 10
//	riffle top --url http://localhost:8080/admin
//	riffle rebuild balances --url http://localhost:8080/admin
//
// Commands with a directory work when no service has it open, among them on backups of live
// stores. All of them but backup, and serve with a token, open the store for reading only:
// they change nothing and upgrade nothing.
//
// Results go to standard output, as tables or with -o json as one object per line;
// progress and remarks go to standard error. The exit status is 1 after any error, and
// when verify found a fault.
//
// The package cli below it is the same command line for services, over their own engines.
package main
